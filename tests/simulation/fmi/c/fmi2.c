/* FMI 2.0 co-simulation around one of the models. */
#include "fmi2Functions.h"
#include "models.h"

const char *fmi2GetTypesPlatform(void) { return "default"; }
const char *fmi2GetVersion(void) { return "2.0"; }
fmi2Status fmi2SetDebugLogging(fmi2Component c, fmi2Boolean on, size_t n, const fmi2String k[]) { return fmi2OK; }
fmi2Component fmi2Instantiate(fmi2String name, fmi2Type type, fmi2String guid, fmi2String place,
                              const fmi2CallbackFunctions *calls, fmi2Boolean visible, fmi2Boolean log) {
    if (strcmp(guid, TOKEN)) return NULL;
    Unit *u = calloc(1, sizeof(Unit));
    start(u);
    return u;
}
void fmi2FreeInstance(fmi2Component c) { free(c); }
fmi2Status fmi2SetupExperiment(fmi2Component c, fmi2Boolean d, fmi2Real tol, fmi2Real start_s, fmi2Boolean s, fmi2Real stop) {
    ((Unit *)c)->time = start_s;
    return fmi2OK;
}
fmi2Status fmi2EnterInitializationMode(fmi2Component c) { return fmi2OK; }
fmi2Status fmi2ExitInitializationMode(fmi2Component c) { return fmi2OK; }
fmi2Status fmi2Terminate(fmi2Component c) { return fmi2OK; }
fmi2Status fmi2Reset(fmi2Component c) { start(c); return fmi2OK; }
fmi2Status fmi2GetReal(fmi2Component c, const fmi2ValueReference r[], size_t n, fmi2Real x[]) {
    ALWAYS((Unit *)c);
    for (size_t k = 0; k < n; k++) { if (r[k] >= REALS) return fmi2Error; x[k] = ((Unit *)c)->r[r[k]]; }
    return fmi2OK;
}
fmi2Status fmi2SetReal(fmi2Component c, const fmi2ValueReference r[], size_t n, const fmi2Real x[]) {
    for (size_t k = 0; k < n; k++) { if (r[k] >= REALS) return fmi2Error; ((Unit *)c)->r[r[k]] = x[k]; ((Unit *)c)->slope[r[k]] = 0; }
    return fmi2OK;
}
fmi2Status fmi2GetInteger(fmi2Component c, const fmi2ValueReference r[], size_t n, fmi2Integer x[]) {
    for (size_t k = 0; k < n; k++) x[k] = ((Unit *)c)->i[r[k] % INTS];
    return fmi2OK;
}
fmi2Status fmi2SetInteger(fmi2Component c, const fmi2ValueReference r[], size_t n, const fmi2Integer x[]) {
    for (size_t k = 0; k < n; k++) ((Unit *)c)->i[r[k] % INTS] = x[k];
    return fmi2OK;
}
fmi2Status fmi2GetBoolean(fmi2Component c, const fmi2ValueReference r[], size_t n, fmi2Boolean x[]) {
    for (size_t k = 0; k < n; k++) x[k] = ((Unit *)c)->b[r[k] % INTS];
    return fmi2OK;
}
fmi2Status fmi2SetBoolean(fmi2Component c, const fmi2ValueReference r[], size_t n, const fmi2Boolean x[]) {
    for (size_t k = 0; k < n; k++) ((Unit *)c)->b[r[k] % INTS] = x[k];
    return fmi2OK;
}
fmi2Status fmi2GetString(fmi2Component c, const fmi2ValueReference r[], size_t n, fmi2String x[]) {
    for (size_t k = 0; k < n; k++) x[k] = ((Unit *)c)->text;
    return fmi2OK;
}
fmi2Status fmi2SetString(fmi2Component c, const fmi2ValueReference r[], size_t n, const fmi2String x[]) {
    for (size_t k = 0; k < n; k++) snprintf(((Unit *)c)->text, sizeof ((Unit *)c)->text, "%s", x[k]);
    return fmi2OK;
}
fmi2Status fmi2GetFMUstate(fmi2Component c, fmi2FMUstate *s) {
    if (!*s) *s = malloc(sizeof(Unit));
    memcpy(*s, c, sizeof(Unit));
    return fmi2OK;
}
fmi2Status fmi2SetFMUstate(fmi2Component c, fmi2FMUstate s) { memcpy(c, s, sizeof(Unit)); return fmi2OK; }
fmi2Status fmi2FreeFMUstate(fmi2Component c, fmi2FMUstate *s) { free(*s); *s = NULL; return fmi2OK; }
fmi2Status fmi2SerializedFMUstateSize(fmi2Component c, fmi2FMUstate s, size_t *n) { *n = sizeof(Unit); return fmi2OK; }
fmi2Status fmi2SerializeFMUstate(fmi2Component c, fmi2FMUstate s, fmi2Byte b[], size_t n) { memcpy(b, s, n); return fmi2OK; }
fmi2Status fmi2DeSerializeFMUstate(fmi2Component c, const fmi2Byte b[], size_t n, fmi2FMUstate *s) {
    *s = malloc(n);
    memcpy(*s, b, n);
    return fmi2OK;
}
fmi2Status fmi2GetDirectionalDerivative(fmi2Component c, const fmi2ValueReference z[], size_t nz, const fmi2ValueReference v[], size_t nv, const fmi2Real dv[], fmi2Real dz[]) { return fmi2Error; }
fmi2Status fmi2SetRealInputDerivatives(fmi2Component c, const fmi2ValueReference r[], size_t n, const fmi2Integer o[], const fmi2Real x[]) {
    for (size_t k = 0; k < n; k++) ((Unit *)c)->slope[r[k]] = x[k];
    return fmi2OK;
}
fmi2Status fmi2GetRealOutputDerivatives(fmi2Component c, const fmi2ValueReference r[], size_t n, const fmi2Integer o[], fmi2Real x[]) { return fmi2Error; }
static double last;
fmi2Status fmi2DoStep(fmi2Component c, fmi2Real t, fmi2Real h, fmi2Boolean none) {
    Unit *u = c;
    double reached = t + h;
    int event = 0, status;
    if (fabs(t - u->time) > 1e-9 * (1 + fabs(t))) return fmi2Error; /* the master has lost its place */
    u->time = t;
    status = step(u, h, &reached, &event);
    u->time = last = reached;
    return (fmi2Status)status;
}
fmi2Status fmi2CancelStep(fmi2Component c) { return fmi2Error; }
fmi2Status fmi2GetStatus(fmi2Component c, const fmi2StatusKind k, fmi2Status *x) { return fmi2Discard; }
fmi2Status fmi2GetRealStatus(fmi2Component c, const fmi2StatusKind k, fmi2Real *x) { *x = last; return fmi2OK; }
fmi2Status fmi2GetIntegerStatus(fmi2Component c, const fmi2StatusKind k, fmi2Integer *x) { return fmi2Discard; }
fmi2Status fmi2GetBooleanStatus(fmi2Component c, const fmi2StatusKind k, fmi2Boolean *x) { *x = ((Unit *)c)->b[3]; return fmi2OK; }
fmi2Status fmi2GetStringStatus(fmi2Component c, const fmi2StatusKind k, fmi2String *x) { return fmi2Discard; }
