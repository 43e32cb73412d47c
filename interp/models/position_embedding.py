"""The embedding of positions, learned or fixed, that some models add to that of tokens."""

import torch
from torch import Tensor, nn

from interp.models.language_model import LanguageModel
from interp.models.tracing import Run, traced

_TOKENS = 3
# More than any model has positions or words, and still told apart in float32.
_ROWS = 2**20


def position_embedding_path(model: LanguageModel, choice: str = "auto") -> str:
    """Return where the embedding of positions stands; "" where there is none.

    It is the embedding outside of the blocks that gives every position the row after the one
    before, whatever the tokens; of several, as where types of tokens are kept beside positions, the
    one with the most rows. A hollow model of one's own tells it: its values are replaced.

    Raises:
        ConfigError: the blocks cannot be found, or the model does not run on made-up values.
    """
    stack = model.stack(choice)
    inside = tuple(f"{path}." for path in stack.blocks)
    for path, module in model.module.named_modules():
        if path.startswith(inside):
            continue
        if isinstance(module, nn.Embedding):
            # In place of its values every row holds its own number; of rows there are enough.
            numbers = torch.arange(float(_ROWS))[:, None].expand(_ROWS, module.weight.shape[-1])
            module.weight = nn.Parameter(numbers, requires_grad=False)
        for name, buffer in module.named_buffers(recurse=False):
            # Ids that a model keeps are those of positions, or of one type for all tokens.
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

    (found,) = traced(
        *(model, choice, (1, _TOKENS), _as_it_is, of_positions, (stack.root,)),
        unwatched=tuple(path.removeprefix(f"{stack.root}.") for path in inside),
    )
    return found


def _as_it_is(_run: Run, output: Tensor) -> Tensor:
    return output
