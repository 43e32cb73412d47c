"""Where to read: each hook point turns a model's structure into taps, one a layer."""

from interp.hooks.heads import (
    AttentionScores,
    HeadOutput,
    HeadResult,
    Key,
    Pattern,
    Query,
    RotatedKey,
    RotatedQuery,
    Value,
)
from interp.hooks.hook import (
    HOOKS,
    AttentionTap,
    HookPoint,
    LayeredHookPoint,
    MissingSite,
    Tap,
)
from interp.hooks.module import Module
from interp.hooks.neurons import MlpPost, MlpPre, MlpPreLinear
from interp.hooks.residual import (
    Embed,
    FinalNorm,
    HiddenStates,
    PosEmbed,
    ResidMid,
    ResidPost,
    ResidPre,
    Stream,
)
from interp.hooks.sublayers import AttentionNorm, AttentionOut, MlpNorm, MlpOut
from interp.hooks.vocabulary import LogitLens, Logits

__all__ = [
    "HOOKS",
    "AttentionNorm",
    "AttentionOut",
    "AttentionScores",
    "AttentionTap",
    "Embed",
    "FinalNorm",
    "HeadOutput",
    "HeadResult",
    "HiddenStates",
    "HookPoint",
    "Key",
    "LayeredHookPoint",
    "LogitLens",
    "Logits",
    "MissingSite",
    "MlpNorm",
    "MlpOut",
    "MlpPost",
    "MlpPre",
    "MlpPreLinear",
    "Module",
    "Pattern",
    "PosEmbed",
    "Query",
    "ResidMid",
    "ResidPost",
    "ResidPre",
    "RotatedKey",
    "RotatedQuery",
    "Stream",
    "Tap",
    "Value",
]
