/* FMI 3.0 co-simulation around one of the models, as far as these need it. */
#include "fmi3Functions.h"
#include "models.h"

const char *fmi3GetVersion(void) { return "3.0"; }
fmi3Instance fmi3InstantiateCoSimulation(fmi3String name, fmi3String token, fmi3String place, fmi3Boolean visible,
        fmi3Boolean log, fmi3Boolean events, fmi3Boolean early, const fmi3ValueReference r[], size_t n,
        fmi3InstanceEnvironment e, fmi3LogMessageCallback say, fmi3IntermediateUpdateCallback update) {
    if (strcmp(token, TOKEN)) return NULL;
    Unit *u = calloc(1, sizeof(Unit));
    u->next = -1;
    start(u);
    u->events = events;
    u->early = early;
    return u;
}
void fmi3FreeInstance(fmi3Instance c) { free(c); }
fmi3Status fmi3EnterInitializationMode(fmi3Instance c, fmi3Boolean d, fmi3Float64 tol, fmi3Float64 t, fmi3Boolean s, fmi3Float64 stop) {
    ((Unit *)c)->time = t;
    return fmi3OK;
}
fmi3Status fmi3ExitInitializationMode(fmi3Instance c) { return fmi3OK; }
fmi3Status fmi3EnterEventMode(fmi3Instance c) { return fmi3OK; }
fmi3Status fmi3EnterStepMode(fmi3Instance c) { return fmi3OK; }
fmi3Status fmi3Terminate(fmi3Instance c) { return fmi3OK; }
fmi3Status fmi3UpdateDiscreteStates(fmi3Instance c, fmi3Boolean *again, fmi3Boolean *end, fmi3Boolean *nominals,
        fmi3Boolean *states, fmi3Boolean *defined, fmi3Float64 *next) {
    Unit *u = c;
    happen(u);
    *again = *end = *nominals = *states = false;
    *defined = u->next >= 0;
    *next = u->next;
    return fmi3OK;
}
fmi3Status fmi3GetFloat64(fmi3Instance c, const fmi3ValueReference r[], size_t n, fmi3Float64 x[], size_t m) {
    ALWAYS((Unit *)c);
    if (n == 1 && m > 1) { memcpy(x, ((Unit *)c)->r, m * sizeof *x); return m <= REALS ? fmi3OK : fmi3Error; } /* all of them as one array */
    for (size_t k = 0; k < n; k++) x[k] = ((Unit *)c)->r[r[k] % REALS];
    return fmi3OK;
}
fmi3Status fmi3SetFloat64(fmi3Instance c, const fmi3ValueReference r[], size_t n, const fmi3Float64 x[], size_t m) {
    for (size_t k = 0; k < n; k++) ((Unit *)c)->r[r[k] % REALS] = x[k];
    return fmi3OK;
}
fmi3Status fmi3GetInt32(fmi3Instance c, const fmi3ValueReference r[], size_t n, fmi3Int32 x[], size_t m) {
    for (size_t k = 0; k < n; k++) x[k] = ((Unit *)c)->i[r[k] % INTS];
    return fmi3OK;
}
fmi3Status fmi3SetInt32(fmi3Instance c, const fmi3ValueReference r[], size_t n, const fmi3Int32 x[], size_t m) {
    for (size_t k = 0; k < n; k++) ((Unit *)c)->i[r[k] % INTS] = x[k];
    return fmi3OK;
}
fmi3Status fmi3GetFMUState(fmi3Instance c, fmi3FMUState *s) {
    if (!*s) *s = malloc(sizeof(Unit));
    memcpy(*s, c, sizeof(Unit));
    return fmi3OK;
}
fmi3Status fmi3SetFMUState(fmi3Instance c, fmi3FMUState s) { memcpy(c, s, sizeof(Unit)); return fmi3OK; }
fmi3Status fmi3FreeFMUState(fmi3Instance c, fmi3FMUState *s) { free(*s); *s = NULL; return fmi3OK; }
fmi3Status fmi3DoStep(fmi3Instance c, fmi3Float64 t, fmi3Float64 h, fmi3Boolean none, fmi3Boolean *event,
        fmi3Boolean *end, fmi3Boolean *early, fmi3Float64 *last) {
    Unit *u = c;
    double reached = t + h;
    int happens = 0, status;
    if (fabs(t - u->time) > 1e-9 * (1 + fabs(t))) return fmi3Error; /* the master has lost its place */
    u->time = t;
    status = step(u, h, &reached, &happens);
    *event = happens;
    *end = false;
    *early = reached < t + h - 1e-14;
    *last = u->time = reached;
    return (fmi3Status)status;
}
