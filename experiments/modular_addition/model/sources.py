"""Sources of models of modular arithmetic: random weights, the bundled checkpoint, or a user's."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.core.errors import ConfigError
from interp.models.pretrained import Pretrained
from interp.models.sources import MODELS, ModelSource, explained

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from interp.models.heads import Head

    from .transformer import ModularArithmeticConfig

# Trained by `interp experiment=modular_addition_training`, with the settings in its config.json.
BUNDLED = Path(__file__).parent / "checkpoint"


@MODELS.register("modular_arithmetic")
@dataclass(frozen=True, kw_only=True)
class ModularArithmetic(ModelSource):
    """A transformer of one block with random weights that reads "a b =".

    Attributes:
        modulus: p; the vocabulary is the numbers below it, and "=".
        hidden_size: dimensions of the residual stream.
        heads: attention heads.
        head_dim: dimensions of a head.
        neurons: neurons of the MLP.
    """

    modulus: int = 113
    hidden_size: int = 128
    heads: int = 4
    head_dim: int = 32
    neurons: int = 512

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (
            ("modulus", 3),
            ("hidden_size", 1),
            ("heads", 1),
            ("head_dim", 1),
            ("neurons", 1),
        ):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be at least {least}, not {getattr(self, name)}")

    @property
    def title(self) -> str:
        """The modulus and the seed."""
        return f"random transformer mod {self.modulus}, seed {self.seed}"

    @property
    def revision(self) -> str:
        """The architecture and the seed."""
        sizes = (self.modulus, self.hidden_size, self.heads, self.head_dim, self.neurons)
        return f"modular arithmetic {sizes}, seed {self.seed}"

    @property
    def is_drawn(self) -> bool:
        """Whether the weights are random: always."""
        return True

    def config(self) -> "ModularArithmeticConfig":
        """Return the architecture."""
        from .transformer import ModularArithmeticConfig

        return ModularArithmeticConfig(
            modulus=self.modulus,
            hidden_size=self.hidden_size,
            num_attention_heads=self.heads,
            head_dim=self.head_dim,
            intermediate_size=self.neurons,
        )

    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """Return the tokenizer of numbers."""
        from .tokenizer import number_tokenizer

        return number_tokenizer(self.modulus)

    def head(self) -> "Head | None":
        """Return the model with its unembedding."""
        from interp.models.heads import head_of_type

        return head_of_type(self.config())

    def weights(self, head: "Head | None", **options: Any) -> "PreTrainedModel":
        """Initialise the weights at random."""
        return self.draw(head, **options)


@MODELS.register("modular_checkpoint")
@dataclass(frozen=True, kw_only=True)
class ModularCheckpoint(Pretrained):
    """A trained transformer that reads "a b =": the bundled one, or one of your own.

    Attributes:
        path: a folder that training wrote, or a state dict of TransformerLens's HookedTransformer
            (.pt or .pth, read as plain tensors); None is the bundled one.
    """

    path: str | None = None

    @property
    def trained_title(self) -> str:
        """The arithmetic it was trained on where that is known, else the name of file or folder."""
        if self.path is None:
            return "grokked addition mod 113"
        known = self.config().trained_on
        if not known:
            return self._where().name
        return f"trained on {known['operation']} mod {known['modulus']}"

    @property
    def trained_revision(self) -> str:
        """The checksum of the weights."""
        where = self._where()
        file = where / "model.safetensors" if where.is_dir() else where
        return f"sha256 {hashlib.sha256(file.read_bytes()).hexdigest()}"

    def where(self) -> tuple[str, dict[str, Any]]:
        """Return the folder.

        Raises:
            ConfigError: it holds no such model.
        """
        return str(self._where()), {"local_files_only": True}

    def _where(self) -> Path:
        if self.path is None:
            return BUNDLED
        where = Path(self.path).expanduser().resolve()
        if where.is_file() and where.suffix in (".pt", ".pth"):
            return where
        if not where.is_dir():
            raise ConfigError(
                f"model.path: no folder, and no .pt or .pth file, at {str(where)!r}; leave it out "
                "for the model that comes with interp"
            )
        for name in ("config.json", "model.safetensors"):
            if not (where / name).is_file():
                raise ConfigError(f"model.path: no {name} in {str(where)!r}")
        return where

    def config(self) -> "ModularArithmeticConfig":
        """Read the architecture; that of a state dict follows from the shapes of its tensors.

        Raises:
            ConfigError: the model has another architecture.
        """
        from interp.models.loading import AutoConfig

        from .state_dicts import convert
        from .transformer import ModularArithmeticConfig

        if self._where().is_file():
            with explained(self._where().name):
                return convert(self._where()).config
        with explained(str(self._where())):
            config = AutoConfig.from_pretrained(self._where(), local_files_only=True)
        if not isinstance(config, ModularArithmeticConfig):
            raise ConfigError(
                f"model.path: {str(self._where())!r} holds a {config.model_type}, no transformer "
                "of modular arithmetic; use model=path for it"
            )
        return config

    def training(self) -> "pd.DataFrame":
        """Return the recorded training, one row per evaluated epoch; empty where there is none."""
        import pandas as pd

        recorded = self._where() / "training.csv"
        if self.untrained or not recorded.is_file():
            return pd.DataFrame()
        return pd.read_csv(recorded)

    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """Return the tokenizer of numbers."""
        from .tokenizer import number_tokenizer

        return number_tokenizer(self.config().modulus)

    def head(self) -> "Head | None":
        """Return the model with its unembedding."""
        from interp.models.heads import head_of_type

        return head_of_type(self.config())

    def weights(self, head: "Head | None", **options: Any) -> "PreTrainedModel":
        """Read the weights as plain tensors.

        Raises:
            ConfigError: they cannot be read, or are not those of the configuration.
        """
        import torch
        from safetensors.torch import load_file

        from .state_dicts import convert
        from .transformer import ModularArithmeticForCausalLM

        if self.untrained:
            return self.draw(head, **options)
        options.pop("device_map", None)
        where, config = self._where(), self.config()
        with explained(str(where)):
            folder = where.is_dir()
            state = load_file(where / "model.safetensors") if folder else convert(where).state_dict
            with torch.device("meta"):
                expected = ModularArithmeticForCausalLM(config).state_dict()
            for name, weight in expected.items():
                shape = list(state[name].shape) if name in state else "missing"
                if shape != list(weight.shape):
                    raise ConfigError(
                        f"model.path: {name} of {where} is {shape}, by its config.json "
                        f"{list(weight.shape)}"
                    )
            model = ModularArithmeticForCausalLM.from_pretrained(
                None, config=config, state_dict=state, **options
            )
        return model if head else model.model
