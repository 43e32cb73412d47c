"""Any architecture with weights drawn at random from a seed."""

import copy
import difflib
import importlib.util
import inspect
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.core.errors import ConfigError, nearest
from interp.models.sources import MODELS, ModelSource, explained

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from interp.models.heads import Head


@MODELS.register("random")
@dataclass(frozen=True, kw_only=True)
class Random(ModelSource):
    """Any Hugging Face architecture with weights drawn from a seed; each byte is one token.

    Attributes:
        architecture: the model type: "gpt2", "bert", "llama", …
        settings: entries of the architecture's configuration; the vocabulary size is set from the
            tokenizer.
    """

    architecture: str
    settings: dict[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_architecture(self.architecture)

    @property
    def title(self) -> str:
        """The architecture, marked as random."""
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
            # Some settings are read by the model's code alone; one that nearly spells a known
            # setting is taken for a typing error.
            if key not in known and (meant := difflib.get_close_matches(key, known, 1, 0.85)):
                raise ConfigError(f"model.settings: no {key!r}; did you mean {meant[0]!r}?")
        # A copy, since transformers changes the settings that it gets.
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


def _check_architecture(architecture: str) -> None:
    folder = architecture.replace("-", "_")
    package = importlib.util.find_spec("transformers")
    for path in package.submodule_search_locations or () if package else ():
        # Found by its file name, the architecture needs no import of transformers.
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
