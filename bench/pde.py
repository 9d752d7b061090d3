"""Steps of a solver of equations by networks side by side with DeepXDE on PyTorch.

    pip install torch deepxde
    cargo build --release -p quadrat-bench
    python bench/pde.py [--only NAME ...] [--repeats N]

-Laplacian(u) = 1 on [-1, 1]^d, u = 0 on the boundary; six layers of 32 units (tanh), Adam, 1,000 points inside and 1,000 of the
boundary; 200 steps, after a few that do not count. Ours draws its points anew in every step, DeepXDE keeps its own. DeepXDE
differentiates twice backward (its default) or twice forward (`forward`); the ratio is to each. The figure is the last loss: points and
first weights differ, so it only tells that work was done. Every run is a fresh process, on two threads.
"""

import os
import time

import side_by_side

CASES = {
    f"{steps} steps, d = {d}, against {mode} derivatives": (
        ["pde-steps", f"dims={d}", f"steps={steps}"],
        [mode, str(d), str(steps)],
        {"library": f"DeepXDE, {mode}"},
    )
    for d, steps in [(2, 200), (10, 100)]
    for mode in ["reverse", "forward"]
}


def peer(mode, d, steps):
    os.environ["DDE_BACKEND"] = "pytorch"
    import deepxde as dde
    import torch

    torch.set_num_threads(side_by_side.THREADS)
    if mode == "forward":
        dde.config.set_default_autodiff("forward")
    d, steps = int(d), int(steps)

    def second(x, u, i):
        # In forward mode DeepXDE 1.15.0 gives a pair, of which the first is the derivative.
        found = dde.grad.hessian(u, x, i=i, j=i)
        return found[0] if isinstance(found, tuple) else found

    def residual(x, u):
        return -sum(second(x, u, i) for i in range(d)) - 1

    box = dde.geometry.Hypercube([-1] * d, [1] * d)
    wall = dde.icbc.DirichletBC(box, lambda x: 0, lambda _, on: on)
    data = dde.data.PDE(box, residual, wall, num_domain=1000, num_boundary=1000, train_distribution="pseudo")
    model = dde.Model(data, dde.nn.FNN([d] + [32] * 6 + [1], "tanh", "Glorot normal"))
    model.compile("adam", lr=1e-3)
    quiet = dict(display_every=10**9, verbose=0)
    model.train(iterations=5, **quiet)
    start = time.perf_counter()
    history, _ = model.train(iterations=steps, **quiet)
    return time.perf_counter() - start, {"figure": float(sum(history.loss_train[-1]))}


if __name__ == "__main__":
    side_by_side.pairs(__file__, ["deepxde", "torch"], CASES, peer)
