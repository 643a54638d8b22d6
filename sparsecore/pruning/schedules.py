"""Schedules: each gives a function of the training step, f(step) -> sparsity."""

__all__ = ["cubic", "linear", "one_shot"]


def one_shot(sparsity, *, begin=0):
    """Nothing before step `begin`, everything from then on."""
    _check(sparsity)
    return lambda step: sparsity if step >= begin else 0.0


def linear(sparsity, steps, *, begin=0, initial=0.0):
    """From `initial` at step `begin` to `sparsity` after `steps` more, in a straight line."""
    _check(sparsity, steps, initial)
    return lambda step: initial + (sparsity - initial) * _share(step, begin, steps)


def cubic(sparsity, steps, *, begin=0, initial=0.0):
    """sparsity + (initial - sparsity) (1 - t)^3 with t = (step - begin) / steps in [0, 1] (Zhu & Gupta, 2017)."""
    _check(sparsity, steps, initial)
    return lambda step: sparsity + (initial - sparsity) * (1 - _share(step, begin, steps)) ** 3


def _share(step, begin, steps):
    return min(1.0, max(0.0, (step - begin) / steps))


def _check(sparsity, steps=1, initial=0.0):
    if not 0 <= initial <= sparsity <= 1:
        raise ValueError(f"need 0 <= initial <= sparsity <= 1; got initial={initial}, sparsity={sparsity}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1; got {steps}")
