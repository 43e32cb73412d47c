"""The activations of a model over prompts, read in one call and kept in memory."""

from interp.data.activations import Activations
from interp.data.positions import Position
from interp.data.prompts import PromptSet
from interp.forward.engine import read
from interp.forward.plan import plan_capture
from interp.hooks import HookPoint
from interp.models import ModelSource


def capture(
    source: ModelSource, prompts: PromptSet, hook: HookPoint, position: Position
) -> Activations:
    """Run the model over the prompts and return its activations at hook and position.

    A pass ends after the highest layer that is read. Tokens after the last one that is read,
    padding, and beginnings that prompts share are left out where this changes the model's values by
    rounding alone (see `interp.forward.exactness`). In vocabulary space the vectors before the
    unembedding are kept; `Activations.points` turns them into logits.

    Args:
        source: the model.
        prompts: the prompts.
        hook: where to read.
        position: which tokens to read.

    Returns:
        Activations with values float32 [layer, sample, *unit], read-only.

    Raises:
        ConfigError: as `interp.forward.plan.plan`; or a module that does not give one vector per
            token, or a model whose own outputs differ from what is read.
        OutOfMemoryError: one prompt alone does not fit into memory.
        FloatingPointError: an activation is infinite or not a number.
    """
    capture_plan = plan_capture(source, prompts, hook, position)
    [[values]] = read([capture_plan], [range(len(prompts))])
    values.flags.writeable = False
    return capture_plan.plan.label(values, capture_plan.source)
