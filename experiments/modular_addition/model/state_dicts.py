"""Weights of modular arithmetic that were trained elsewhere, converted to the names used here.

Two layouts are read, with the same names of tensors and different axes. In that of
TransformerLens's HookedTransformer vectors stand left of every matrix, x @ W. In that of the first
grokking notebook (Nanda et al., 2023, "Progress measures for grokking via mechanistic
interpretability") they stand right of it, W @ x, but left of the unembedding; W_O takes the outputs
of the heads one head after the other, so that its column h * d_head + i is for dimension i of head
h; scores are divided by sqrt(d_head); only the MLP has biases.

W_O has three axes in the one and two in the other, which distinguishes them whatever the sizes are.
All other shapes must then agree with the layout, and with each other.

Parts without weights leave no trace in a state dict and are assumed to be as in these models: ReLU,
causal attention, no layer norm, positions added to the embedding.
"""

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interp.core.errors import ConfigError

from .transformer import ModularArithmeticConfig

# Keys under which a file may hold the state dict, next to other entries.
_WRAPPERS = ("model", "state_dict", "model_state_dict")
_POSITIONS = 3
# The fewest tokens: three numbers and "=".
_FEWEST = 4
# Packages whose configurations are saved with the weights in files of the grokking demos.
_SETTINGS = ("transformer_lens.", "easy_transformer.")

# Each axis is a letter; "nh" is one axis over heads and their dimensions.
_AXES = {
    "v": "vocab",
    "c": "n_ctx",
    "d": "d_model",
    "n": "n_heads",
    "h": "d_head",
    "m": "d_mlp",
    "o": "d_vocab_out",
}
# The axes of each tensor; one that determines an axis' size stands before those that need it.
_CURRENT = {
    "pos_embed.W_pos": "c d",
    "embed.W_E": "v d",
    "blocks.0.attn.W_Q": "n d h",
    "blocks.0.attn.W_K": "n d h",
    "blocks.0.attn.W_V": "n d h",
    "blocks.0.attn.W_O": "n h d",
    "blocks.0.mlp.W_in": "d m",
    "blocks.0.mlp.W_out": "m d",
    "unembed.W_U": "d o",
}
_OLDER = {
    **_CURRENT,
    "embed.W_E": "d v",
    "blocks.0.attn.W_Q": "n h d",
    "blocks.0.attn.W_K": "n h d",
    "blocks.0.attn.W_V": "n h d",
    "blocks.0.attn.W_O": "d nh",
    "blocks.0.mlp.W_in": "m d",
    "blocks.0.mlp.W_out": "d m",
}
# By the number of axes of W_O.
_LAYOUTS = {3: _CURRENT, 2: _OLDER}
_BIASES = {
    "blocks.0.attn.b_Q": "n h",
    "blocks.0.attn.b_K": "n h",
    "blocks.0.attn.b_V": "n h",
    "blocks.0.attn.b_O": "d",
    "blocks.0.mlp.b_in": "m",
    "blocks.0.mlp.b_out": "d",
    "unembed.b_U": "o",
}
_WITHOUT_WEIGHTS = ("blocks.0.attn.mask", "blocks.0.attn.IGNORE")

# The name of each tensor here, without its "weight" or "bias", and the axes of its weight.
_OURS = {
    "pos_embed.W_pos": ("model.embed_positions", "c d"),
    "embed.W_E": ("model.embed_tokens", "v d"),
    "blocks.0.attn.W_Q": ("model.layers.0.self_attn.q_proj", "nh d"),
    "blocks.0.attn.W_K": ("model.layers.0.self_attn.k_proj", "nh d"),
    "blocks.0.attn.W_V": ("model.layers.0.self_attn.v_proj", "nh d"),
    "blocks.0.attn.W_O": ("model.layers.0.self_attn.o_proj", "d nh"),
    "blocks.0.mlp.W_in": ("model.layers.0.mlp.up_proj", "m d"),
    "blocks.0.mlp.W_out": ("model.layers.0.mlp.down_proj", "d m"),
    "unembed.W_U": ("lm_head", "o d"),
}

# Names of tensors that show a part which this architecture does not have.
_UNSUPPORTED = {
    r"^blocks\.(?!0\.)": "more than one block",
    r"(^|\.)ln|_norm\.": "layer norm with learned weights",
    r"rotary": "rotary position embedding",
    r"W_gate": "a gated MLP",
    r"attn\._[Wb]_[KV]": "grouped-query attention",
}


@dataclass(frozen=True, eq=False)
class Converted:
    """A model of modular arithmetic.

    Attributes:
        config: its architecture.
        state_dict: of the model with its unembedding.
    """

    config: ModularArithmeticConfig
    state_dict: dict[str, Tensor]


def convert(path: Path) -> Converted:
    """Read a state dict of either layout, of prompts [a, b, =] modulo vocab_size - 1.

    Biases that are all zero are left out; where one is not zero, missing ones are zero. Positions
    beyond the third, which such prompts do not have, are left out.

    Args:
        path: what `torch.save` wrote: the state dict, or a dict that holds it under "model",
            "state_dict" or "model_state_dict". No code in it is run, and a configuration of
            TransformerLens that it holds with the weights is ignored.

    Raises:
        ConfigError: the file cannot be read, or holds another model; the message begins with the
            path.
    """
    try:
        return _convert(_read(path))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _read(path: Path) -> dict[str, Tensor]:
    try:
        with torch.serialization.safe_globals(_stand_ins(path)):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ConfigError(
            f"expected a state dict that torch.save wrote, tensors alone; {_reason(error)}"
        ) from error
    if isinstance(found, Mapping):
        held = (found[key] for key in _WRAPPERS if isinstance(found.get(key), Mapping))
        found = next(held, found)
    if not isinstance(found, Mapping) or not any(isinstance(v, Tensor) for v in found.values()):
        kind = type(found).__name__
        keys = f" of {', '.join(map(str, list(found)[:5]))}" if isinstance(found, Mapping) else ""
        raise ConfigError(
            f"expected a state dict, or a dict that holds one under {' or '.join(_WRAPPERS)}; "
            f"found a {kind}{keys}"
        )
    return {str(name): tensor for name, tensor in found.items() if name not in _WITHOUT_WEIGHTS}


def _stand_ins(path: Path) -> list[Any]:
    """Return empty classes in place of the classes of settings that a checkpoint holds.

    The values that torch reads into them are discarded, and no code of the original is run.
    """
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:
        # torch.load, which is called next, reports what is wrong with the file.
        return []
    return [(type("Settings", (), {}), name) for name in names if name.startswith(_SETTINGS)]


def _reason(error: Exception) -> str:
    """Return why a file cannot be read: torch.load's own message advises running the code in it."""
    if isinstance(error, OSError):
        return str(error)
    code = re.search(r"GLOBAL (\S+)", str(error))
    if code:
        return f"this also holds {code[1]}: save its state dict alone"
    return "torch.load cannot read this as one"


def _convert(tensors: dict[str, Tensor]) -> Converted:
    _check_names(tensors)
    output = tensors["blocks.0.attn.W_O"]
    if output.ndim not in _LAYOUTS:
        raise ConfigError(
            f"blocks.0.attn.W_O has shape {list(output.shape)}; "
            "expected [n_heads, d_head, d_model] or [d_model, n_heads*d_head]"
        )
    layout = _LAYOUTS[output.ndim]
    sizes = _axis_sizes(tensors, layout)
    _check_sizes(sizes)
    state_dict = {
        f"{ours}.weight": _rearrange(tensors[name], layout[name], axes, sizes)
        for name, (ours, axes) in _OURS.items()
    }
    positions = f"{_OURS['pos_embed.W_pos'][0]}.weight"
    state_dict[positions] = state_dict[positions][:_POSITIONS].clone()
    biased = any(bool(tensors[name].any()) for name in _BIASES if name in tensors)
    if biased:
        state_dict |= _biases(tensors, sizes)
    config = ModularArithmeticConfig(
        modulus=sizes["v"] - 1,
        output_size=sizes["o"],
        hidden_size=sizes["d"],
        num_attention_heads=sizes["n"],
        head_dim=sizes["h"],
        intermediate_size=sizes["m"],
        bias=biased,
    )
    return Converted(config, state_dict)


def _check_names(tensors: Mapping[str, object]) -> None:
    for pattern, what in _UNSUPPORTED.items():
        for name in tensors:
            if re.search(pattern, name):
                raise ConfigError(f"{what} is not supported ({name})")
    for name in _CURRENT:
        if name not in tensors:
            close = difflib.get_close_matches(name, tensors, n=1)
            instead = f", not {close[0]!r}" if close else ""
            raise ConfigError(
                f"expected {name!r}{instead}, as a HookedTransformer of one block has"
            )
    known = [*_CURRENT, *_BIASES]
    for name, tensor in tensors.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            guess = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigError(f"a transformer of one block has no {name!r}{guess}")
        if not (isinstance(tensor, Tensor) and tensor.is_floating_point()):
            kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise ConfigError(f"expected real numbers in {name}, not {kind}")


def _axis_sizes(tensors: dict[str, Tensor], layout: dict[str, str]) -> dict[str, int]:
    """Return the size of each axis, where all shapes agree."""
    sizes: dict[str, int] = {}
    for name, axes in (layout | _BIASES).items():
        if name not in tensors:
            continue
        shape, groups = list(tensors[name].shape), axes.split()
        given = {group: size for group, size in zip(groups, shape, strict=False) if len(group) == 1}
        if len(shape) != len(groups) or shape != _shape(axes, given | sizes):
            expected = ", ".join(_axis_name(group, sizes) for group in groups)
            raise ConfigError(
                f"{name} has shape {shape}; expected [{expected}], as blocks.0.attn.W_O has "
                f"{tensors['blocks.0.attn.W_O'].ndim} axes"
            )
        sizes = given | sizes
    return sizes


def _check_sizes(sizes: dict[str, int]) -> None:
    if sizes["c"] < _POSITIONS:
        raise ConfigError(
            f"n_ctx {sizes['c']} is not supported: prompts [a, b, =] have {_POSITIONS} positions"
        )
    if sizes["v"] < _FEWEST:
        raise ConfigError(
            f"embed.W_E has {sizes['v']} tokens; expected three numbers and '=', or more"
        )
    if sizes["o"] not in (sizes["v"], sizes["v"] - 1):
        raise ConfigError(
            f"unembed.W_U has {sizes['o']} columns; expected {sizes['v']}, one per token, or "
            f"{sizes['v'] - 1}, one per number"
        )


def _shape(axes: str, sizes: dict[str, int]) -> list[int]:
    return [math.prod(sizes[axis] for axis in group) for group in axes.split()]


def _axis_name(group: str, sizes: dict[str, int]) -> str:
    name = "*".join(_AXES[axis] for axis in group)
    return f"{name} {_shape(group, sizes)[0]}" if all(a in sizes for a in group) else name


def _rearrange(tensor: Tensor, axes: str, wanted: str, sizes: dict[str, int]) -> Tensor:
    letters = axes.replace(" ", "")
    apart = tensor.detach().reshape([sizes[axis] for axis in letters])
    ordered = apart.permute([letters.index(axis) for axis in wanted.replace(" ", "")])
    return ordered.reshape(_shape(wanted, sizes)).clone(memory_format=torch.contiguous_format)


def _biases(tensors: dict[str, Tensor], sizes: dict[str, int]) -> dict[str, Tensor]:
    found = {}
    for name, axes in _BIASES.items():
        weight = name.replace("b_", "W_")
        zeros = torch.zeros(_shape(axes, sizes), dtype=tensors[weight].dtype)
        found[f"{_OURS[weight][0]}.bias"] = tensors.get(name, zeros).detach().flatten().clone()
    return found
