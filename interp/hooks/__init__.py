"""Where activations are read: a hook point turns a model's structure into taps, one per layer.

The hook points themselves stand in the modules of this package and are registered by entry points,
so that importing these types imports none of them.
"""

from interp.hooks.hook import (
    HOOKS,
    AttentionTap,
    HookPoint,
    LayeredHookPoint,
    MissingSite,
    Tap,
)

__all__ = [
    "HOOKS",
    "AttentionTap",
    "HookPoint",
    "LayeredHookPoint",
    "MissingSite",
    "Tap",
]
