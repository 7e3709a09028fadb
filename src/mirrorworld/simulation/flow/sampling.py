"""How one variate of a distribution is drawn from a stream.

The n-th variate of a stream needs nothing of the n − 1 before it. Where a distribution can be
inverted in closed form a variate takes one uniform and moves with it one way, so common random
numbers stay common; gamma, Erlang and beta variates are found by rejection on a substream of
(key, n). These are plain functions that compiled code may call too: both give the same bits,
because both use the same operations and the same libm.

Knows distributions as packed arrays only; the codes are those of `distributions.Kind`.
"""

# numba has no type stubs.
# pyright: basic

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.flow.streams import jitable, substream, uniform


@jitable
def draw(packed: Any, i: int, key: int, n: int) -> float:
    """The n-th variate of a stream from row i of `distributions.Packed`."""
    if packed.code[i] == 11:
        key = substream(key, n)
        u = uniform(key, 0)
        at = packed.first[i]
        last = at + 2 * (packed.count[i] - 1)
        while at < last and packed.table[at] <= u:
            at += 2
        i = int(packed.table[at + 1])
        n = 1
    return sample(
        packed.code[i],
        # Python's own floats: what is too large becomes infinite without a warning.
        float(packed.p[i, 0]),
        float(packed.p[i, 1]),
        float(packed.p[i, 2]),
        float(packed.p[i, 3]),
        packed.table,
        packed.first[i],
        packed.count[i],
        key,
        n,
    )


@jitable
def sample(
    code: int,
    p0: float,
    p1: float,
    p2: float,
    p3: float,
    table: NDArray[np.float64],
    first: int,
    count: int,
    key: int,
    n: int,
) -> float:
    """The n-th variate of a stream from a packed row that is no mixture."""
    if code == 0:
        return p0
    if code == 4 or code == 5:
        return p1 * gamma_variate(p0, substream(key, n), 0)
    if code == 9:
        inner = substream(key, n)
        a = gamma_variate(p2, substream(inner, 0), 0)
        b = gamma_variate(p3, substream(inner, 1), 0)
        return p0 + (p1 - p0) * (a / (a + b))
    u = uniform(key, n)
    if code == 3:
        return -p0 * math.log(u)
    if code == 1:
        return p0 + (p1 - p0) * u
    if code == 2:
        left = (p1 - p0) / (p2 - p0)
        if u < left:
            return p0 + math.sqrt(u * (p2 - p0) * (p1 - p0))
        return p2 - math.sqrt((1.0 - u) * (p2 - p0) * (p2 - p1))
    if code == 6:
        return p1 * math.pow(-math.log(u), p2)
    if code == 7:
        return math.exp(p0 + p1 * normal_quantile(u))
    if code == 8:
        return max(0.0, p0 + p1 * normal_quantile(p2 + u * (1.0 - p2)))
    at = u * (count - 1)
    k = min(int(at), max(count - 2, 0))
    if count == 1:
        return table[first]
    low = table[first + k]
    return low + (at - k) * (table[first + k + 1] - low)


@jitable
def gamma_variate(shape: float, key: int, n: int) -> float:
    """A gamma variate of scale 1 by rejection, with the uniforms of a stream from n on.

    Marsaglia, Tsang: A simple method for generating gamma variables, ACM TOMS 26 (2000); shapes
    below 1 by their boost.
    """
    d = (shape if shape >= 1.0 else shape + 1.0) - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x = normal_quantile(uniform(key, n + 1))
        u = uniform(key, n + 2)
        n += 2
        v = 1.0 + c * x
        if v > 0.0:
            v = v * v * v
            if math.log(u) < 0.5 * x * x + d - d * v + d * math.log(v):
                break
    if shape < 1.0:
        return d * v * math.exp(math.log(uniform(key, 0)) / shape)
    return d * v


@jitable
def normal_quantile(u: float) -> float:
    """The standard normal quantile, to about 1e-16 relative.

    Wichura: Algorithm AS 241, PPND16, Applied Statistics 37 (1988).
    """
    q = u - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        num = 2.5090809287301226727e3
        num = num * r + 3.3430575583588128105e4
        num = num * r + 6.7265770927008700853e4
        num = num * r + 4.5921953931549871457e4
        num = num * r + 1.3731693765509461125e4
        num = num * r + 1.9715909503065514427e3
        num = num * r + 1.3314166789178437745e2
        num = num * r + 3.3871328727963666080e0
        den = 5.2264952788528545610e3
        den = den * r + 2.8729085735721942674e4
        den = den * r + 3.9307895800092710610e4
        den = den * r + 2.1213794301586595867e4
        den = den * r + 5.3941960214247511077e3
        den = den * r + 6.8718700749205790830e2
        den = den * r + 4.2313330701600911252e1
        den = den * r + 1.0
        return q * num / den
    r = math.sqrt(-math.log(u if q < 0.0 else 1.0 - u))
    if r <= 5.0:
        r -= 1.6
        num = 7.74545014278341407640e-4
        num = num * r + 2.27238449892691845833e-2
        num = num * r + 2.41780725177450611770e-1
        num = num * r + 1.27045825245236838258e0
        num = num * r + 3.64784832476320460504e0
        num = num * r + 5.76949722146069140550e0
        num = num * r + 4.63033784615654529590e0
        num = num * r + 1.42343711074968357734e0
        den = 1.05075007164441684324e-9
        den = den * r + 5.47593808499534494600e-4
        den = den * r + 1.51986665636164571966e-2
        den = den * r + 1.48103976427480074590e-1
        den = den * r + 6.89767334985100004550e-1
        den = den * r + 1.67638483018380384940e0
        den = den * r + 2.05319162663775882187e0
        den = den * r + 1.0
    else:
        r -= 5.0
        num = 2.01033439929228813265e-7
        num = num * r + 2.71155556874348757815e-5
        num = num * r + 1.24266094738807843860e-3
        num = num * r + 2.65321895265761230930e-2
        num = num * r + 2.96560571828504891230e-1
        num = num * r + 1.78482653991729133580e0
        num = num * r + 5.46378491116411436990e0
        num = num * r + 6.65790464350110377720e0
        den = 2.04426310338993978564e-15
        den = den * r + 1.42151175831644588870e-7
        den = den * r + 1.84631831751005468180e-5
        den = den * r + 7.86869131145613259100e-4
        den = den * r + 1.48753612908506148525e-2
        den = den * r + 1.36929880922735805310e-1
        den = den * r + 5.99832206555887937690e-1
        den = den * r + 1.0
    return -num / den if q < 0.0 else num / den
