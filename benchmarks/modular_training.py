"""What an epoch of training on modular addition costs: the last position alone against all three.

    python benchmarks/modular_training.py

prints the time of an epoch (forward, backward, AdamW) of the whole forward pass over 3,830 prompts
"a b =" as a multiple of that of `last_position`, which training uses. Both take turns in one
process; the median of the rounds' ratios, and their range.
"""

import statistics
import time

import torch
from torch.nn import functional

from interp.experiments.modular_addition import training
from interp.experiments.modular_addition.model import ModularArithmetic
from interp.experiments.modular_addition.prompts import ModularArithmetic as Prompts

ROUNDS, EPOCHS = 7, 10


def main() -> None:
    """Print the ratio."""
    torch.set_flush_denormal(True)
    model = ModularArithmetic(device="cpu").load(head=True)
    pairs = Prompts().pairs()
    settings = training.OptimizerSettings(1e-3, 1.0, (0.9, 0.98))
    short, whole = training.begin(model, settings), training.begin(model, settings)
    a, b, answers = (
        torch.from_numpy(numbers[pairs.train]) for numbers in (pairs.a, pairs.b, pairs.answers)
    )
    ids = torch.stack([a, b, torch.full_like(a, pairs.arithmetic.modulus)], dim=1)

    def naive() -> None:
        for _ in range(EPOCHS):
            whole.optimizer.zero_grad()
            logits = whole.model(ids).logits[:, -1]
            torch.autograd.backward(functional.cross_entropy(logits.double(), answers))
            whole.optimizer.step()

    ratios, taken = [], []
    for turn in range(ROUNDS + 1):
        start = time.perf_counter()
        training.advance(short, pairs, EPOCHS, lambda: None)
        middle = time.perf_counter()
        naive()
        # The first round warms up.
        if turn:
            taken.append((middle - start) / EPOCHS)
            ratios.append((time.perf_counter() - middle) / (middle - start))
    print(f"an epoch of the last position alone = 1.00 ({statistics.median(taken) * 1e3:.0f} ms)")
    print(
        f"of all three {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}, "
        f"{ROUNDS} rounds)"
    )


if __name__ == "__main__":
    main()
