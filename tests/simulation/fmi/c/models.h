/* Small models with known answers, and some that misbehave. Reals and integers lie in tables by
   value reference; a model says how they start, step and change at events. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REALS 8
#define INTS 4

typedef struct {
    double r[REALS];
    double slope[REALS];
    int i[INTS];
    int b[INTS];
    char text[1024];
    double time;
    double next;      /* time of the next event where it is known, else < 0 */
    int events;       /* whether event mode is used */
    int early;
} Unit;

enum { DONE = 0, DISCARD = 2, ERROR = 3 };

#if defined(DAHLQUIST)
/* dx/dt = -k x: x(t) = x0 exp(-k t). 0: x, 1: k */
static void start(Unit *u) { u->r[0] = 1; u->r[1] = 1; }
static int step(Unit *u, double h, double *reached, int *event) {
    (void)event;
    u->r[0] *= exp(-u->r[1] * h);
    *reached = u->time + h;
    return DONE;
}
static void happen(Unit *u) { (void)u; }

#elif defined(BALL)
/* 0: height, 1: speed, 2: g, 3: restitution; integer 0: bounces. Between impacts exact. */
static void start(Unit *u) { u->r[0] = 1; u->r[1] = 0; u->r[2] = 9.81; u->r[3] = 0.7; }
static double impact(Unit *u) {
    double v = u->r[1], g = u->r[2];
    return (v + sqrt(v * v + 2 * g * u->r[0])) / g;
}
static void fly(Unit *u, double h) {
    u->r[0] += u->r[1] * h - 0.5 * u->r[2] * h * h;
    u->r[1] -= u->r[2] * h;
}
static void happen(Unit *u) {
    if (u->r[1] < 0 && u->r[0] < 1e-9) {
        u->r[0] = 0;
        u->r[1] *= -u->r[3];
        u->i[0]++;
    }
}
static int step(Unit *u, double h, double *reached, int *event) {
    double left = h;
    for (int n = 0; n < 10000; n++) {
        double until = impact(u);
        if (until > left) break;
        fly(u, until);
        left -= until;
        if (u->events) { *event = 1; *reached = u->time + h - left; return DONE; }
        u->r[0] = 0;
        happen(u);
    }
    fly(u, left);
    *reached = u->time + h;
    return DONE;
}

#elif defined(MASS)
/* A mass pushed by a force that holds over the step: 0: force (in), 1: x, 2: v, 3: m */
static void start(Unit *u) { u->r[0] = 0; u->r[1] = 0; u->r[2] = 1; u->r[3] = 1; }
static int step(Unit *u, double h, double *reached, int *event) {
    (void)event;
    double a = u->r[0] / u->r[3], j = u->slope[0] / u->r[3];
    u->r[1] += u->r[2] * h + a * h * h / 2 + j * h * h * h / 6;
    u->r[2] += a * h + j * h * h / 2;
    *reached = u->time + h;
    return DONE;
}
static void happen(Unit *u) { (void)u; }

#elif defined(SPRING)
/* A spring with a second mass behind it, moved by the speed of the first, which holds over the
   step: 0: speed (in), 1: force on the first mass, 2: stretch, 3: v of the second, 4: k, 5: m */
static void start(Unit *u) { u->r[0] = 0; u->r[1] = 0; u->r[2] = 0; u->r[3] = 0; u->r[4] = 1; u->r[5] = 1; }
static int step(Unit *u, double h, double *reached, int *event) {
    (void)event;
    int n = (int)ceil(h / 1e-4);
    double d = h / n, t = 0, k = u->r[4], m = u->r[5];
    for (int s = 0; s < n; s++, t += d) { /* RK4 on (stretch, v) */
        double q = u->r[2], v = u->r[3];
        double w0 = u->r[0] + u->slope[0] * t, w1 = w0 + u->slope[0] * d / 2, w2 = w0 + u->slope[0] * d;
        double q1 = v - w0, v1 = -k * q / m;
        double q2 = v + d / 2 * v1 - w1, v2 = -k * (q + d / 2 * q1) / m;
        double q3 = v + d / 2 * v2 - w1, v3 = -k * (q + d / 2 * q2) / m;
        double q4 = v + d * v3 - w2, v4 = -k * (q + d * q3) / m;
        u->r[2] += d / 6 * (q1 + 2 * q2 + 2 * q3 + q4);
        u->r[3] += d / 6 * (v1 + 2 * v2 + 2 * v3 + v4);
    }
    u->r[1] = k * u->r[2];
    *reached = u->time + h;
    return DONE;
}
static void happen(Unit *u) { (void)u; }

#elif defined(BAD)
/* 0: y, 1: the time at which it goes wrong; integer 0: how */
static void start(Unit *u) { u->r[0] = 0; u->r[1] = 1; u->i[0] = 0; }
static int step(Unit *u, double h, double *reached, int *event) {
    (void)event;
    *reached = u->time + h;
    if (*reached < u->r[1] - 1e-12) { u->r[0] += h; return DONE; }
    switch (u->i[0]) {
    case 1: *(volatile int *)16 = 1; break;
    case 2: for (;;) usleep(1000);
    case 3: u->r[0] = NAN; return DONE;
    case 4: return ERROR;
    case 5: *reached = u->time; return DISCARD;
    case 6: for (;;) { char *p = malloc(1 << 24); if (!p) abort(); memset(p, 1, 1 << 24); }
    case 7: {
        FILE *f = fopen(u->text, "w");
        if (!f) return ERROR;
        fputs("outside", f);
        fclose(f);
        break;
    }
    case 8: exit(7);
    case 10: /* something on every pipe */
        for (int fd = 3; fd < 16; fd++) if (write(fd, "garbage, and more of it", 23) < 0) continue;
        break;
    case 12: u->b[3] = 1; *reached = u->time + h / 2; u->r[0] += h / 2; return DISCARD;
    case 11: *reached = u->time + h / 4; u->r[0] += h / 4; return DISCARD;
    case 9: printf("a line that is no answer\n"); fflush(stdout); break;
    }
    u->r[0] += h;
    return DONE;
}
static void happen(Unit *u) { (void)u; }

#elif defined(GAIN)
/* Without memory: 0: u (in), 1: y = g u + c, 2: g, 3: c */
static void start(Unit *u) { u->r[0] = 0; u->r[1] = 0; u->r[2] = 1; u->r[3] = 0; }
#define ALWAYS(u) ((u)->r[1] = (u)->r[2] * (u)->r[0] + (u)->r[3])
static int step(Unit *u, double h, double *reached, int *event) {
    (void)event;
    *reached = u->time + h;
    return DONE;
}
static void happen(Unit *u) { (void)u; }

#elif defined(CLOCKWORK)
/* Counts at times that it knows beforehand: real 0: period, integer 0: count; real 1: input,
   real 2: the input as it was at the last count */
static void start(Unit *u) { u->r[0] = 0.25; u->i[0] = 0; u->next = 0; }
static void happen(Unit *u) {
    if (u->time >= u->next - 1e-12) {
        if (u->next > 0) u->i[0]++;
        u->r[2] = u->r[1];
        u->next += u->r[0];
    }
}
static int step(Unit *u, double h, double *reached, int *event) {
    *reached = u->time + h;
    if (*reached > u->next + 1e-12) return ERROR; /* the master was told */
    if (*reached >= u->next - 1e-12) *event = 1;
    return DONE;
}
#endif

#ifndef ALWAYS
#define ALWAYS(u) ((void)0)
#endif
