"""The speed of matrix products on this machine, which take most of the time of a forward pass."""

import time

import torch

from interp.models import ModelSource

# Wide enough to use every core, and computed in some hundredths of a second on two.
_WIDTH = 1024

# A forward pass over short prompts reaches about this share of the speed of matrix products.
_SHARE = 0.5


def products_per_second(source: ModelSource) -> float:
    """Measure how many products of two numbers a forward pass computes per second.

    Args:
        source: the model, for its device and dtype; no weight is loaded.
    """
    device = source.placed_on
    a, b = torch.ones(2, _WIDTH, _WIDTH, dtype=getattr(torch, source.dtype), device=device)
    fastest = float("inf")
    for _ in range(4):
        begin = time.perf_counter()
        # Reading a number waits for a device that computes asynchronously.
        float((a @ b)[0, 0])
        fastest = min(fastest, time.perf_counter() - begin)
    return _SHARE * _WIDTH**3 / fastest
