"""Makes golden.csv: distribution functions and quantiles in 60 digits. Run with mpmath 1.4: python golden.py > golden.csv

Incomplete beta functions are summed by their continued fraction, incomplete gamma functions by their series or
continued fraction, quantiles found by bisection of the logarithm and Newton steps; scipy is not involved.
"""

from mpmath import exp, inf, log, loggamma, mp, mpf, sqrt

mp.dps = 60
SMALL = mpf(10) ** -50


def lentz(term):
    """b0 + a1 / (b1 + a2 / (b2 + ...)) of term(i) = (a, b), with term(0) = (_, b0)."""
    tiny = mpf(10) ** -200
    f = c = term(0)[1] or tiny
    d = mpf(0)
    i = 0
    while True:
        i += 1
        a, b = term(i)
        d = 1 / ((b + a * d) or tiny)
        c = (b + a / c) or tiny
        f *= c * d
        if abs(c * d - 1) < SMALL:
            return f


def beta_tails(a, b, x, y):
    """I_x(a, b) and its complement, y = 1 - x."""
    if x * (a + b + 2) > a + 1:
        return beta_tails(b, a, y, x)[::-1]

    def term(i):
        m = i // 2
        if i == 0:
            return None, mpf(1)
        if i % 2:
            return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)), 1
        return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), 1

    ln_beta = loggamma(a) + loggamma(b) - loggamma(a + b)
    low = exp(a * log(x) + b * log(y) - ln_beta) / (a * lentz(term))
    return low, 1 - low


def gamma_tails(a, x):
    front = exp(a * log(x) - x - loggamma(a))
    if x < a + 1:
        total = term = 1 / a
        i = mpf(0)
        while term > total * SMALL:
            i += 1
            term *= x / (a + i)
            total += term
        return front * total, 1 - front * total
    high = front / lentz(lambda i: (None if i == 0 else -i * (i - a), x + 2 * i + 1 - a))
    return 1 - high, high


def solve(tails, p, low, high):
    """The x with tails(x)[0] = p, or with tails(x)[1] = -p for a negative p."""
    wanted = log(abs(p))

    def excess(u):
        tail = tails(exp(u))[0 if p > 0 else 1]
        return (log(tail) - wanted) * (1 if p > 0 else -1) if tail > 0 else -inf * (1 if p > 0 else -1)

    a, b = low, high
    if excess(a) > 0:
        return mpf(0)  # below the smallest double
    for _ in range(60):
        m = (a + b) / 2
        a, b = (m, b) if excess(m) < 0 else (a, m)
    # The secant rule from a bracket of 1e-15 of its width.
    fa, fb = excess(a), excess(b)
    for _ in range(6):
        if fa == fb:
            break
        a, b = b, b - fb * (b - a) / (fb - fa)
        fa, fb = fb, excess(b)
        if abs(b - a) < mpf(10) ** -40:
            break
    return exp(b)


def show(name, *numbers):
    def text(v):
        return repr(float(v)) if abs(v) > mpf(10) ** -307 or v == 0 else mp.nstr(v, 17)

    print(",".join([name] + [text(v) for v in numbers]), flush=True)


def main():
    print("# Made by golden.py (mpmath 1.4, 60 digits). Tails: law, shapes, x, P(X <= x), P(X > x); quantiles: law, ")
    print("# shapes, P(X <= x) or minus P(X > x), x, and for beta 1 - x.")
    shapes = [1e-3, 0.5, 3.7, 200.0, 3500.0, 1e5, 1e9]
    for i, a in enumerate(shapes):
        for b in shapes[i:]:
            mean, sd = a / (a + b), sqrt(mpf(a) * b / (a + b + 1)) / (a + b)
            places = [float(mean + z * sd) for z in (-30, -5, -1, 0, 1, 5, 30)]
            if a < 1:
                places += [1e-300, 1e-20, 1e-3]
            for x in sorted({x for x in places if 0 < x < 1}):
                low, high = beta_tails(mpf(a), mpf(b), mpf(x), 1 - mpf(x))
                if min(low, high) > mpf(10) ** -305:
                    show("beta", a, b, x, low, high)
    for a in [1e-3, 0.5, 1.0, 25.0, 50.0, 60.0, 90.0, 95.0, 100.0, 3500.0, 1e5, 1e8, 1e9]:
        places = [a + z * float(sqrt(a)) for z in (-20, -3, 0, 3, 20)] + ([1e-300, 1e-20, 1e-3, 300.0] if a < 1.5 else [])
        for x in sorted({x for x in places if x > 0}):
            low, high = gamma_tails(mpf(a), mpf(x))
            if min(low, high) > mpf(10) ** -305:
                show("gamma", a, 0.0, x, low, high)
    for df in [0.5, 1.0, 4.0, 30.0, 1e3, 1e6, 1e9]:
        for t in [1e-3, 0.5, 2.0, 8.0, 30.0, 1e10]:
            x = mpf(df) / (df + mpf(t) ** 2)
            tail = beta_tails(mpf(df) / 2, mpf(1) / 2, x, mpf(t) ** 2 / (df + mpf(t) ** 2))[0] / 2
            if tail > mpf(10) ** -305:
                show("student", df, 0.0, t, 1 - tail, tail)
    for n, p, k in [(10, 0.3, 3), (1000, 0.5, 400), (1e9, 0.3, 3e8), (1e9, 0.3, 299.9e6), (1e6, 1e-6, 5), (50, 0.9, 2)]:
        high, low = beta_tails(mpf(k) + 1, mpf(n) - k, mpf(p), 1 - mpf(p))
        show("binomial", n, p, k, low, high)
    tails = [1e-300, 1e-100, 1e-12, 0.025, 0.3, 0.5, -0.2, -0.025, -1e-12, -1e-100, -1e-300]
    for a, b in [(1e-3, 2.0), (0.5, 0.5), (0.5, 1e9), (2.0, 5.0), (3001, 7000), (5000, 4000), (1e5, 1e5), (1e9, 1e9), (7.0, 1e9)]:
        a, b = mpf(a), mpf(b)
        for p in tails:
            half = beta_tails(a, b, mpf(0.5), mpf(0.5))
            if (half[0] >= p) if p > 0 else (half[1] <= -p):
                x = solve(lambda x: beta_tails(a, b, x, 1 - x), mpf(p), mpf(-800), log(mpf(0.5)))
                y = 1 - x
            else:
                y = solve(lambda y: beta_tails(b, a, y, 1 - y), -mpf(p), mpf(-800), log(mpf(0.5)))
                x = 1 - y
            show("beta-quantile", a, b, p, x, y)
    for a in [1e-3, 0.5, 1.0, 50.0, 95.0, 3500.0, 1e5, 1e9]:
        for p in tails:
            show("gamma-quantile", a, 0.0, p, solve(lambda x: gamma_tails(mpf(a), x), mpf(p), mpf(-800), log(mpf(a) + 2000 + 60 * sqrt(mpf(a)))))
    for df in [0.5, 1.0, 4.0, 30.0, 1e3, 1e6, 1e9]:
        for p in [0.3, 0.025, 1e-12, 1e-100, 1e-300]:
            # The tail of t is half the tail of x = df / (df + t^2), of which 1 - x may be the small one.
            def tail(u):
                square = u * u
                below = beta_tails(mpf(df) / 2, mpf(1) / 2, df / (df + square), square / (df + square))[0] / 2
                return 1 - below, below
            show("student-quantile", df, 0.0, -p, solve(tail, -mpf(p), mpf(-30), mpf(1500)))
    for d1, d2, p in [(3.0, 7.0, 0.95), (1.0, 1.0, -1e-6), (200.0, 1e6, 1e-12), (1e6, 12.0, -0.001)]:
        a, b = mpf(d1) / 2, mpf(d2) / 2
        ratio = lambda f: beta_tails(a, b, d1 * f / (d1 * f + d2), d2 / (d1 * f + d2))
        show("f-quantile", d1, d2, p, solve(ratio, mpf(p), mpf(-50), mpf(60)))


main()
