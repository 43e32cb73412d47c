"""The position embedding, learned or fixed, that some models add to the token embedding."""

import torch
from torch import nn

from interp.models.language_model import LanguageModel
from interp.models.tracing import Probe, Run, trace

_TOKENS = 3
# More than any model has positions or tokens, and few enough to be exact in float32.
_ROWS = 2**20


def position_embedding_path(model: LanguageModel, choice: str = "auto") -> str:
    """Return the path of the position embedding; "" where there is none.

    It is the embedding outside the blocks from which consecutive positions read consecutive rows,
    whatever the tokens. Of several, as where there is an embedding of token types, it is the one
    with the most rows.

    Args:
        model: a model with constant weights of the caller's own: its embeddings are overwritten.
        choice: the stack.

    Raises:
        ConfigError: the blocks cannot be found, or the model does not run on made-up values.
    """
    stack = model.stack(choice)
    inside = tuple(f"{path}." for path in stack.blocks)
    for path, module in model.module.named_modules():
        if path.startswith(inside):
            continue
        if isinstance(module, nn.Embedding):
            # Every row holds its own number, and there is a row for every id.
            numbers = torch.arange(float(_ROWS))[:, None].expand(_ROWS, module.weight.shape[-1])
            module.weight = nn.Parameter(numbers, requires_grad=False)
        for name, buffer in module.named_buffers(recurse=False):
            # Integer buffers are the ids of positions, or the one type of all tokens.
            if not buffer.is_floating_point() and buffer.ndim and buffer.dtype != torch.bool:
                ids = torch.arange(buffer.shape[-1], dtype=buffer.dtype)
                setattr(module, name, ids.expand(buffer.shape))

    def of_positions(run: Run) -> str:
        tables = {}
        for call in run.calls:
            if isinstance(call.module, nn.Embedding) and call.module.num_embeddings >= _TOKENS:
                numbers = call.returned[..., 0].reshape(-1, _TOKENS)[0]
                if bool((numbers.diff() == 1).all()):
                    tables[f"{stack.root}.{call.path}".strip(".")] = call.module.num_embeddings
        return max(tables, key=lambda path: tables[path], default="")

    unrecorded = tuple(path.removeprefix(f"{stack.root}.") for path in inside)
    probe = Probe((1, _TOKENS), parts=(stack.root,), unrecorded=unrecorded)
    (found,) = trace(model, choice, probe, of_positions)
    return found
