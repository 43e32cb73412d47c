"""What comparing in vocabulary space takes in memory: 1,000 prompts, 50,257 words, 13 layers.

    python benchmarks/vocabulary_memory.py [METRIC]

runs the whole experiment on GPT-2 small with random weights and a vocabulary of GPT-2's size, and
prints the process's peak of resident memory, model and libraries included.
"""

import resource
import sys
import tempfile
from pathlib import Path

from hydra import compose, initialize_config_dir
from interp.cli.hydra.job import register_analyses

from interp.cli.main import CONF
from interp.runner.run import run


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
    register_analyses()
    with (
        tempfile.TemporaryDirectory() as folder,
        initialize_config_dir(str(CONF), version_base="1.3"),
    ):
        config = compose("config", overrides=[*overrides, f"outputs={folder}"])
        run(config, Path(folder) / "run")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{metric}: peak of {peak:.2f} GiB")


if __name__ == "__main__":
    main()
