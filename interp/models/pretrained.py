"""Where trained weights come from: the hub, a folder, or an installed package."""

import hashlib
import importlib.util
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.core.errors import ConfigError
from interp.models.sources import MODELS, OFFLINE_MODELS, ModelSource, explained

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from interp.models.heads import Head


@dataclass(frozen=True, kw_only=True)
class Pretrained(ModelSource, ABC):
    """A trained model, or its randomly initialised baseline.

    Attributes:
        untrained: keep architecture and tokenizer, and draw the weights at random from `seed`: the
            baseline that shows what comes from training.
    """

    untrained: bool = False

    @property
    def title(self) -> str:
        """The model's name, with "(untrained)" for the randomly initialised baseline."""
        return f"{self.trained_title} (untrained)" if self.untrained else self.trained_title

    @property
    def is_drawn(self) -> bool:
        """Whether it is the randomly initialised baseline."""
        return self.untrained

    @property
    def revision(self) -> str:
        """The trained weights' revision, and the baseline's seed."""
        baseline = f" untrained, seed {self.seed}" if self.untrained else ""
        return f"{self.trained_revision}{baseline}"

    @property
    @abstractmethod
    def trained_title(self) -> str:
        """The trained model's name."""

    @property
    @abstractmethod
    def trained_revision(self) -> str:
        """What identifies the trained weights."""

    @abstractmethod
    def where(self) -> tuple[str, dict[str, Any]]:
        """Return the name or folder that transformers loads from, and its options."""

    def config(self) -> "PreTrainedConfig":
        """Read the architecture; a ConfigError says what was tried where it is out of reach."""
        from interp.models.loading import AutoConfig

        name, options = self.where()
        with explained(name, f"; {OFFLINE_MODELS}"):
            return AutoConfig.from_pretrained(name, trust_remote_code=False, **options)

    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """Read the tokenizer.

        Raises:
            ConfigError: it is out of reach, or has no fast version: a marked target is found by
                the characters of tokens, which only fast tokenizers return.
        """
        from interp.models.loading import AutoTokenizer

        name, options = self.where()
        with explained(name, f"; {OFFLINE_MODELS}"):
            tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False, **options)
        if not tokenizer.is_fast:
            raise ConfigError(f"model: {name} has no fast tokenizer, which targets need")
        return tokenizer

    def head(self) -> "Head | None":
        """Return the head that the checkpoint was saved with; the baseline has the same class."""
        from interp.models.heads import head_of_checkpoint

        return head_of_checkpoint(self.config())

    def weights(self, head: "Head | None", **options: Any) -> "PreTrainedModel":
        """Read the weights from safetensors, or from a .bin without running code from it."""
        from interp.models.loading import AutoModel

        if self.untrained:
            return self.draw(head, **options)
        name, where = self.where()
        loader = head.model_class if head else AutoModel
        with explained(name, f"; {OFFLINE_MODELS}"):
            module, report = loader.from_pretrained(
                name,
                weights_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                **where,
                **options,
            )
        # transformers fills a missing tensor with random numbers; only the pooler is never read.
        missing = sorted(key for key in report["missing_keys"] if "pooler" not in key)
        if missing:
            raise ConfigError(f"model: the weights of {name} lack {', '.join(missing[:3])}")
        return module


@MODELS.register("hub")
@dataclass(frozen=True, kw_only=True)
class Hub(Pretrained):
    """A model of the Hugging Face hub, read from the local cache where it is there.

    Attributes:
        repo: "owner/name".
        commit: a branch, a tag, or a full commit, which alone is fixed.
    """

    repo: str
    commit: str = "main"

    @property
    def trained_title(self) -> str:
        """The repository's name without its owner."""
        return self.repo.rpartition("/")[2]

    @property
    def trained_revision(self) -> str:
        """The repository and the commit of the branch or tag."""
        from huggingface_hub import try_to_load_from_cache

        # The cache stores each file under its commit.
        path = try_to_load_from_cache(self.repo, "config.json", revision=self.commit)
        if not isinstance(path, str):
            self.config()
            path = try_to_load_from_cache(self.repo, "config.json", revision=self.commit)
        return f"{self.repo}@{Path(path).parent.name if isinstance(path, str) else self.commit}"

    @lru_cache(maxsize=8)  # noqa: B019 — cache and network are asked once
    def where(self) -> tuple[str, dict[str, Any]]:
        """Return the repository and revision, offline where the local cache has them.

        Raises:
            ConfigError: not in the cache, and the hub cannot be reached.
        """
        from huggingface_hub import get_session, try_to_load_from_cache
        from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE

        files = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
        cached = any(
            isinstance(try_to_load_from_cache(self.repo, file, revision=self.commit), str)
            for file in files
        )
        if not (cached or HF_HUB_OFFLINE):
            try:
                # One short try: the loader itself would take half a minute.
                get_session().head(ENDPOINT, timeout=5)
            except Exception as error:
                raise ConfigError(
                    f"model.repo: {self.repo!r} is not in the local Hugging Face cache, and the "
                    f"hub at {ENDPOINT} does not answer ({error}); {OFFLINE_MODELS}"
                ) from None
        return self.repo, {"revision": self.commit, "local_files_only": cached or HF_HUB_OFFLINE}


@MODELS.register("path")
@dataclass(frozen=True, kw_only=True)
class Folder(Pretrained):
    """A folder in Hugging Face's layout: config.json, tokenizer files, model.safetensors.

    Attributes:
        path: the folder.
    """

    path: str

    @property
    def trained_title(self) -> str:
        """The folder's name."""
        return Path(self.where()[0]).name

    @property
    def trained_revision(self) -> str:
        """A hash of the files' names, sizes and times: reading all the files takes too long."""
        files = sorted(p for p in Path(self.where()[0]).iterdir() if p.is_file())
        found = [(p.name, p.stat()) for p in files]
        # A copy may keep its original's time of modification, but not the time of its creation.
        listing = [(name, of.st_size, of.st_mtime_ns, of.st_ctime_ns) for name, of in found]
        return f"files {hashlib.sha256(json.dumps(listing).encode()).hexdigest()[:16]}"

    def where(self) -> tuple[str, dict[str, Any]]:
        """Return the folder; a ConfigError where there is none."""
        folder = Path(self.path).expanduser().resolve()
        if not folder.is_dir():
            raise ConfigError(f"model.path: no folder at {str(folder)!r}")
        return str(folder), {"local_files_only": True}


@MODELS.register("package")
@dataclass(frozen=True, kw_only=True)
class Package(Pretrained):
    """Weights that an installed Python package carries, verified before they are loaded.

    Attributes:
        package: the importable package; it is located, never imported.
        folder: the model's folder within it.
        published_as: the model's published name.
        sha256: the checksum of the folder's model.safetensors.
    """

    package: str
    folder: str
    published_as: str
    sha256: str

    @property
    def trained_title(self) -> str:
        """The published name."""
        return self.published_as

    @property
    def trained_revision(self) -> str:
        """The checksum of the weights."""
        return f"sha256 {self.sha256}"

    def where(self) -> tuple[str, dict[str, Any]]:
        """Return the folder within the package; a ConfigError where either is missing."""
        with explained(f"package {self.package!r}"):
            spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise ConfigError(
                f"model.package: {self.package!r} is not installed; try: pip install "
                f"{self.package.replace('_', '-')}"
            )
        folder = Path(spec.submodule_search_locations[0]) / self.folder
        if not (folder / "model.safetensors").is_file():
            raise ConfigError(f"model.folder: no model.safetensors in {str(folder)!r}")
        return str(folder), {"local_files_only": True}

    def weights(self, head: "Head | None", **options: Any) -> "PreTrainedModel":
        """Read the weights after verifying their checksum.

        Raises:
            ConfigError: their checksum differs.
        """
        if not self.untrained:
            with (Path(self.where()[0]) / "model.safetensors").open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != self.sha256:
                raise ConfigError(
                    f"model.sha256: the weights in {self.package} have {found}, not {self.sha256}"
                )
        return super().weights(head, **options)
