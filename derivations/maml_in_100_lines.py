"""MAML on sine waves in one page: NumPy alone, second order by hand, its own check. Run it: it takes half a minute.

Letters are those of the notes: a prefix d for a gradient of the inner loss, _bar for a cotangent of the outer loss J.
theta is a list of blocks [W; b], one for each layer; after the inner step every task has its own, (T, D + 1, M).
"""

import numpy as np

WIDTHS, T, N, ALPHA, BETA, ITERATIONS = [1, 40, 40, 1], 25, 10, 0.01, 1e-3, 8000


def tasks(rng, T):
    """Support and query points of T sine waves: [(x, y), (x, y)], each (T, N, 1)."""
    amplitude, phase = rng.uniform(0.1, 5, (T, 1, 1)), rng.uniform(0, np.pi, (T, 1, 1))
    points = [rng.uniform(-5, 5, (T, N, 1)) for _ in range(2)]
    return [(x, amplitude * np.sin(x - phase)) for x in points]


def with_ones(x):
    """[x 1]: then the bias is one more row of the weights."""
    return np.concatenate([x, np.ones_like(x[..., :1])], axis=-1)


def forward(theta, x):
    """The prediction, and what every layer saw, [x 1]; ReLU between the layers."""
    seen = []
    for i, Wb in enumerate(theta):
        seen.append(with_ones(x))
        y = seen[-1] @ Wb
        x = np.where(y.real > 0, y, 0) if i < len(theta) - 1 else y
    return x, seen


def gradient(theta, x, target):
    """Losses (T,), their gradients, a block for each layer, (T, D + 1, M), and what `hessian` needs."""
    y, seen = forward(theta, x)
    r = y - target
    dy, dys, dtheta = 2 * r / r[0].size, [None] * len(theta), [None] * len(theta)
    for i in reversed(range(len(theta))):
        dys[i], dtheta[i] = dy, seen[i].swapaxes(1, 2) @ dy
        if i:
            dy = (dy @ theta[i][..., :-1, :].swapaxes(-1, -2)) * (seen[i][..., :-1].real > 0)
    return (r * r).mean(axis=(1, 2)), dtheta, (seen, dys)


def hessian(theta, passed, v):
    """The Hessian of each task's loss times v, a list of blocks: differentiate `gradient` along v, line by line."""
    seen, dys = passed
    n, moved, seen_dot = len(theta), None, []
    for i in range(n):  # forward: how what every layer sees moves
        seen_dot.append(np.zeros_like(seen[i]) if moved is None else np.append(moved, 0 * moved[..., :1], axis=-1))
        y_dot = seen_dot[i] @ theta[i] + seen[i] @ v[i]
        if i < n - 1:
            moved = y_dot * (seen[i + 1][..., :-1].real > 0)
    dy_dot, found = 2 * y_dot / y_dot[0].size, [None] * n
    for i in reversed(range(n)):  # and back: both factors of every product move
        found[i] = seen[i].swapaxes(1, 2) @ dy_dot + seen_dot[i].swapaxes(1, 2) @ dys[i]
        if i:
            W, W_dot = theta[i][..., :-1, :].swapaxes(-1, -2), v[i][..., :-1, :].swapaxes(-1, -2)
            dy_dot = (dy_dot @ W + dys[i] @ W_dot) * (seen[i][..., :-1].real > 0)
    return found


def meta_gradient(theta_0, support, query):
    """J, the mean query loss after one inner step, and its gradient at theta_0."""
    _, dtheta, passed = gradient(theta_0, *support)
    theta_1 = [Wb - ALPHA * dWb for Wb, dWb in zip(theta_0, dtheta)]
    losses, theta_1_bar, _ = gradient(theta_1, *query)
    theta_1_bar = [bar / len(losses) for bar in theta_1_bar]
    dtheta_bar = [-ALPHA * bar for bar in theta_1_bar]
    bent = hessian(theta_0, passed, dtheta_bar)  # first-order MAML leaves this out
    return losses.mean(), [(bar + more).sum(axis=0) for bar, more in zip(theta_1_bar, bent)]


def check(theta, support, query):
    """The largest error of the meta-gradient, against the complex step of J in every block's first weight."""
    _, bars = meta_gradient(theta, support, query)
    errors = []
    for i, bar in enumerate(bars):
        moved = [Wb.astype(complex) for Wb in theta]
        moved[i][0, 0] += 1e-30j
        errors.append(abs(meta_gradient(moved, support, query)[0].imag / 1e-30 - bar[0, 0]))
    return max(errors)


def main():
    """Check, train, test."""
    rng = np.random.default_rng(0)
    theta = [np.append(rng.standard_normal((D, M)) * (2 / D) ** 0.5, np.zeros((1, M)), axis=0)
             for D, M in zip(WIDTHS, WIDTHS[1:])]
    print(f"largest error of the meta-gradient: {check(theta, *tasks(rng, T)):.0e}")
    m, v = [[np.zeros_like(Wb) for Wb in theta] for _ in range(2)]
    for t in range(1, ITERATIONS + 1):
        J, bars = meta_gradient(theta, *tasks(rng, T))
        for i, bar in enumerate(bars):  # Adam
            m[i], v[i] = 0.9 * m[i] + 0.1 * bar, 0.999 * v[i] + 0.001 * bar * bar
            theta[i] = theta[i] - BETA * m[i] / (1 - 0.9 ** t) / (np.sqrt(v[i] / (1 - 0.999 ** t)) + 1e-8)
        if t % 2000 == 0:
            print(f"iteration {t}: J = {J:.2f}")
    support, query = tasks(rng, 600)
    before, dtheta, _ = gradient(theta, *support)
    after = gradient([Wb - ALPHA * dWb for Wb, dWb in zip(theta, dtheta)], *query)[0]
    print(f"600 unseen waves: squared error {before.mean():.2f} before, {after.mean():.2f} after one step")


if __name__ == "__main__":
    main()
