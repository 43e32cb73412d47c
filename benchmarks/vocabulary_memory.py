"""What comparing in vocabulary space takes in memory: 1,000 prompts, 50,257 words, 13 layers.

    python benchmarks/vocabulary_memory.py [METRIC]

runs the whole experiment on GPT-2 small with random weights and a vocabulary of GPT-2's size, and
prints the process's peak of resident memory, model and libraries included.
"""

import resource
import sys
import tempfile

from interp import compose, run


def main() -> None:
    """Print the peak."""
    metric = sys.argv[1] if len(sys.argv) > 1 else "kl_divergence"
    overrides = [
        "model=tiny",
        "+model.settings.vocab_size=50257",
        "model.settings={n_layer: 12, n_embd: 768, n_head: 12}",
        "model.device=cpu",
        "prompts.count=500",
        "prompts.length=1",
        "hook=logit_lens",
        "position=last",
        f"metric={metric}",
    ]
    with tempfile.TemporaryDirectory() as folder:
        run(compose(*overrides, f"outputs={folder}"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{metric}: peak of {peak:.2f} GiB")


if __name__ == "__main__":
    main()
