"""Which of the groups an analysis makes use of, by what it asks for."""

from interp.runner.analysis import Analysis, asks_for

_READ = ("model", "prompts", "hook", "position")

# The groups that each thing which an analysis may ask for is made from.
MADE_FROM: dict[str, tuple[str, ...]] = {
    "activations": _READ,
    "plan": _READ,
    "samples": _READ,
    "reference": (*_READ, "model@reference"),
    "reference_source": ("model@reference",),
    "model": ("model",),
    "source": ("model",),
    "prompts": ("prompts",),
    "prompt_source": ("prompts",),
    "hook": ("hook",),
    "position": ("position",),
    "reduction": ("reduction",),
    "clustering": ("clustering",),
    "metric": ("metric",),
    "rng": (),
    "outputs": (),
    "track": (),
}

# The groups that an analysis may leave unused.
COMPONENTS = {group for of in MADE_FROM.values() for group in of}


def groups_of(analysis: Analysis | type[Analysis]) -> set[str]:
    """Return the groups that the analysis, or its check, asks for something of."""
    return {group for name, of in MADE_FROM.items() if asks_for(analysis, name) for group in of}
