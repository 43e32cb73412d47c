"""How fast this machine multiplies matrices, which is most of what a forward pass does."""

import time

import torch

from interp.models import ModelSource

# Wide enough to keep every core busy, and done in some hundredths of a second on two.
_WIDTH = 1024

# Of what matrix products alone would reach, a forward pass over short prompts gets about so much.
_SHARE = 0.5


def products_per_second(source: ModelSource) -> float:
    """Return how many products of two numbers a forward pass makes in a second, measured now.

    Args:
        source: says on which device, in which type.
    """
    device = source.placed_on
    a, b = torch.ones(2, _WIDTH, _WIDTH, dtype=getattr(torch, source.dtype), device=device)
    fastest = float("inf")
    for _ in range(4):
        begin = time.perf_counter()
        # To read a number waits for a device that works by itself.
        float((a @ b)[0, 0])
        fastest = min(fastest, time.perf_counter() - begin)
    return _SHARE * _WIDTH**3 / fastest
