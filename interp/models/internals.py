"""What is used of transformers and PyTorch beyond their public interface, each with its reason.

Everything else in the project uses public names. `tests/contract/test_internals.py` fails with a
plain message where a new version of either library changes one of these; pyproject.toml pins the
major version of transformers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AttentionInterface, PreTrainedConfig, PreTrainedModel

__all__ = [
    "TorchDispatchMode",
    "attention_kernel",
    "changes_in_place",
    "has_tied_weights",
    "storage_id",
    "with_attention_lookup",
]
# TorchDispatchMode is PyTorch's documented way to see every operation, and has no public path.

Lookup = Callable[[str, Callable[..., Any]], Callable[..., Any]]


@contextmanager
def with_attention_lookup(wrap: Callable[[Lookup], Lookup]) -> Iterator[None]:
    """Replace the function by which models look up their attention kernel, for a context.

    The public `AttentionInterface.register` adds a kernel under a name. A registered kernel is not
    given the model's own eager function, which scores and patterns are computed with; and another
    kernel name changes the mask that the model builds. The lookup has both.

    Args:
        wrap: takes the library's lookup, (kernel name, eager function) → kernel, and returns the
            one to use.
    """
    own = AttentionInterface.get_interface

    def get_interface(
        self: AttentionInterface, name: str, default: Callable[..., Any]
    ) -> Callable[..., Any]:
        def lookup(name: str, default: Callable[..., Any]) -> Callable[..., Any]:
            found: Callable[..., Any] = own(self, name, default)
            return found

        return wrap(lookup)(name, default)

    AttentionInterface.get_interface = get_interface
    try:
        yield
    finally:
        AttentionInterface.get_interface = own


def attention_kernel(config: PreTrainedConfig) -> str:
    """Return the kernel that transformers chose, "sdpa" or "eager"; no public name holds it."""
    return str(config._attn_implementation)


def has_tied_weights(model_class: type[PreTrainedModel]) -> bool:
    """Whether a class ties its head to the embedding; the class declares it in this name alone."""
    return bool(model_class._tied_weights_keys)


def storage_id(tensor: Tensor) -> int:
    """Return what identifies a tensor's memory; on the `meta` device every `data_ptr` is 0."""
    return int(tensor.untyped_storage()._cdata)


def changes_in_place(operation: Any) -> bool:
    """Whether an operation writes to its arguments; its schema has no public name."""
    return bool(operation._schema.is_mutable)
