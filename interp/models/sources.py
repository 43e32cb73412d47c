"""Where weights come from: what all sources share, and the random draw."""

import importlib.util
import json
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoModel,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from interp.models.byte_tokenizer import byte_tokenizer
from interp.models.language_model import LanguageModel
from interp.registry import ConfigError, Registry, check_choice, nearest

DTYPES = ("float32", "bfloat16", "float16")
KERNELS = ("auto", "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")

# The loading report speaks of heads that nothing here reads; what matters is checked below.
logging.set_verbosity_error()
logging.disable_progress_bar()
# A checkpoint without safetensors would otherwise be sent to a conversion service, in a thread.
os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")


@dataclass(frozen=True, kw_only=True)
class ModelSource(ABC):
    """Describes weights without holding them; equal sources are loaded once a process.

    Attributes:
        dtype: the type that the forward pass computes in.
        device: "auto" (a GPU where there is one), or a torch device.
        device_map: "auto" spreads a large model over several devices, in place of `device`.
        attention: the attention kernel; "auto" leaves the choice to transformers.
        seed: of weights drawn at random.
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
        if self.device_map and importlib.util.find_spec("accelerate") is None:
            raise ConfigError("device_map needs accelerate: pip install 'interp[device-map]'")

    @property
    @abstractmethod
    def title(self) -> str:
        """The model's name, as figures and runs show it."""

    @property
    @abstractmethod
    def revision(self) -> str:
        """What tells these weights from all others: a commit, a checksum, a seed."""

    @abstractmethod
    def config(self) -> PreTrainedConfig:
        """Read the architecture; a ConfigError says what was tried where it is out of reach."""

    @abstractmethod
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Read the tokenizer; a ConfigError says what was tried where it is out of reach."""

    @abstractmethod
    def weights(self, **options: Any) -> PreTrainedModel:
        """Read or draw the weights, with transformers' loading options."""

    @lru_cache(maxsize=1)  # noqa: B019 — keyed by equality: a sweep's next job finds it here
    def skeleton(self) -> LanguageModel:
        """Return the model on the `meta` device: its structure, before any weight is read."""
        with torch.device("meta"):
            module = AutoModel.from_config(self.config(), **self._kernel())
        return self._wrapped(module)

    @lru_cache(maxsize=1)  # noqa: B019 — the same; one model is held at a time
    def load(self) -> LanguageModel:
        """Return the model with its weights, in evaluation mode, on its device.

        Raises:
            ConfigError: the weights are out of reach, altered or incomplete.
        """
        options: dict[str, Any] = {"dtype": getattr(torch, self.dtype), **self._kernel()}
        if self.device_map:
            options["device_map"] = self.device_map
        module = self.weights(**options)
        if not getattr(module, "hf_device_map", None):
            module = module.to(_best_device() if self.device == "auto" else self.device)
        return self._wrapped(module)

    def _kernel(self) -> dict[str, str]:
        return {} if self.attention == "auto" else {"attn_implementation": self.attention}

    def _wrapped(self, module: PreTrainedModel) -> LanguageModel:
        module.eval()
        # A forward pass here reads activations once; keys and values are of no further use.
        module.config.use_cache = False
        return LanguageModel(self.title, module, self.tokenizer())

    def draw(self, **options: Any) -> PreTrainedModel:
        """Draw the architecture's weights from the seed."""
        options.pop("device_map", None)
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            return AutoModel.from_config(self.config(), **options)


MODELS: Registry[ModelSource] = Registry("model")


@MODELS.register("random")
@dataclass(frozen=True, kw_only=True)
class Random(ModelSource):
    """Any Hugging Face architecture with weights drawn from a seed, reading one token a byte.

    Attributes:
        architecture: the model type: "gpt2", "bert", "llama", …
        settings: entries of the architecture's configuration; the vocabulary fits by itself.
    """

    architecture: str
    settings: dict[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.architecture not in CONFIG_MAPPING:
            guess = nearest(self.architecture, CONFIG_MAPPING.keys()).partition(" (known")[0]
            raise ConfigError(f"architecture: transformers knows no {self.architecture!r}{guess}")

    @property
    def title(self) -> str:
        """The architecture, said to be random."""
        return f"random {self.architecture}"

    @property
    def revision(self) -> str:
        """The seed and the architecture's settings."""
        return f"{self.architecture} {json.dumps(self.settings, sort_keys=True)}, seed {self.seed}"

    def config(self) -> PreTrainedConfig:
        """Build the architecture's configuration."""
        vocabulary = {"vocab_size": len(self.tokenizer())}
        return AutoConfig.for_model(self.architecture, **{**vocabulary, **self.settings})

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Return the byte-level tokenizer."""
        return byte_tokenizer()

    def weights(self, **options: Any) -> PreTrainedModel:
        """Draw the weights."""
        return self.draw(**options)


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _check_device(device: str) -> None:
    if device == "auto":
        return
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise ConfigError(f"device cannot be {device!r}: auto, cpu, cuda, cuda:1, mps") from None
    if kind not in ("cpu", _best_device()):
        raise ConfigError(f"device {device!r} is not there; device=auto takes {_best_device()}")
