"""What is measured on: models of known shapes with weights drawn at random, prompts made by rule.

Every token of a prompt is a word of it, so that no tokenizer is downloaded: the sentences of
conf/prompts/him_her.yaml have as many tokens as they have words and signs.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import OmegaConf

from interp.data.prompts import PROMPTS, PromptSet
from interp.models import MODELS, ModelSource, Random

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_CONF = Path(__file__).resolve().parents[1] / "conf"

# Each is one token of MiniLM's vocabulary.
_ENGLISH = """
the a of and to in is was he she it for with as on at by from his her they this have not but had
were when one all we there can more if out so up said what about who into than them only other new
time these two may then do first any my now such like our over man me even most made after also
did many before must through back years where much your way well down should because each just
those people how too little state good very make world still own see men work long get here
between both life being under never day same another know while last might us great old year off
come since against go came right used take three
""".split()
_MADE_UP = tuple(f"w{i}" for i in range(1000))
_SHAPES = {
    "gpt2": {"n_layer": 12, "n_embd": 768, "n_head": 12},
    "gpt2-medium": {"n_layer": 24, "n_embd": 1024, "n_head": 16},
    "gpt2-xl": {"n_layer": 48, "n_embd": 1600, "n_head": 25},
}
_SMALL = {"n_layer": 3, "n_embd": 64, "n_head": 4, "vocab_size": 1200}
_SMALL_COUNT = 40


@dataclass(frozen=True, kw_only=True)
class Worded(Random):
    """Any Hugging Face architecture with weights drawn from a seed, reading one token a word.

    Attributes:
        words: the vocabulary.
    """

    words: tuple[str, ...]

    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """Return a tokenizer that splits at spaces and signs, and adds nothing."""
        from tokenizers import Tokenizer, models, pre_tokenizers
        from transformers import PreTrainedTokenizerFast

        vocabulary = {word: i for i, word in enumerate(("<unk>", "<pad>", *self.words))}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            pad_token="<pad>",
            unk_token="<unk>",
            # Left out, some libraries would look for it in the tokenizer's name.
            bos_token="<unk>",
        )


@dataclass(frozen=True)
class Workload:
    """A model and the prompts that it reads.

    Attributes:
        title: both in a few words.
        source: the model.
        prompts: the prompts, each with one word marked as its target.
        blocks: the path of the list of blocks in the Hugging Face module.
        n_layers: how many blocks there are.
        is_causal: whether a token sees only what stands before it.
        published_as: the model's name on the hub, which says what its modules are called.
    """

    title: str
    source: ModelSource
    prompts: PromptSet
    blocks: str
    n_layers: int
    is_causal: bool
    published_as: str

    def first(self, count: int) -> PromptSet:
        """Return the first prompts alone."""
        p = self.prompts
        return PromptSet(p.texts[:count], p.groups[:count], p.targets[:count])


def him() -> PromptSet:
    """Return the 108 sentences with "him" of conf/prompts/him_her.yaml, the pronoun marked.

    54 of them differ up to the pronoun.
    """
    return _him_her({"slot": {"him": ["him"]}})


def him_and_her() -> PromptSet:
    """Return 54 sentences with "him" and the same with "her", all of them of one evening."""
    return _him_her({"fillers": {"when": ["that evening"]}})


def _him_her(changes: dict[str, Any]) -> PromptSet:
    written = OmegaConf.to_container(OmegaConf.load(_CONF / "prompts" / "him_her.yaml"))
    assert isinstance(written, dict)
    for name, value in changes.items():
        # A group that is left out must not come back in by merging.
        written[name] = value if name == "slot" else {**written[name], **value}
    return PROMPTS.build(OmegaConf.create(written)).load()


def mixed(words: tuple[str, ...], count: int, seed: int = 0) -> PromptSet:
    """Return prompts of 8 to 64 words; lengths, words and the target's place are uniform."""
    rng = np.random.default_rng(seed)
    texts, targets = [], []
    for length in rng.integers(8, 65, count):
        chosen = [words[i] for i in rng.integers(len(words), size=length)]
        place = int(rng.integers(length))
        start = sum(len(word) + 1 for word in chosen[:place])
        texts.append(" ".join(chosen))
        targets.append((start, start + len(chosen[place])))
    return PromptSet(tuple(texts), ("all",) * count, tuple(targets))


def _gpt2(
    shape: str, prompts: PromptSet, words: tuple[str, ...], said: str, small: bool
) -> Workload:
    settings = _SMALL if small else {**_SHAPES[shape], "vocab_size": 50257}
    source = Worded(architecture="gpt2", settings=settings, words=words, device="cpu")
    work = Workload(
        f"{shape} shapes, {said}",
        source,
        prompts,
        blocks="h",
        n_layers=settings["n_layer"],
        is_causal=True,
        published_as=f"openai-community/{shape}",
    )
    return _cut(work) if small else work


def _short(small: bool) -> Workload:
    prompts = him()
    words = sorted({word for text in prompts.texts for word in text.rstrip(".").split()})
    return _gpt2("gpt2-medium", prompts, (*words, "."), "108 short prompts", small)


def _long(small: bool) -> Workload:
    prompts = mixed(_MADE_UP, 256)
    return _gpt2("gpt2", prompts, _MADE_UP, "256 prompts of 8 to 64 tokens", small)


def _large(small: bool) -> Workload:
    prompts = mixed(_MADE_UP, 1024)
    work = _gpt2("gpt2-xl", prompts, _MADE_UP, "1,024 prompts of 8 to 64 tokens", small)
    return dataclasses.replace(
        work, source=dataclasses.replace(work.source, dtype="bfloat16", device="cuda")
    )


def _encoder(small: bool) -> Workload:
    source = MODELS.build(OmegaConf.load(_CONF / "model" / "minilm.yaml"))
    work = Workload(
        "all-MiniLM-L6-v2, 1,024 prompts of 8 to 64 words",
        dataclasses.replace(source, device="cpu"),
        mixed(tuple(_ENGLISH), 1024),
        blocks="encoder.layer",
        n_layers=6,
        is_causal=False,
        published_as="google-bert/bert-base-uncased",
    )
    return _cut(work) if small else work


def _cut(work: Workload) -> Workload:
    return dataclasses.replace(
        work, title=f"{work.title} (cut down)", prompts=work.first(_SMALL_COUNT)
    )


_WORKLOADS: dict[str, Callable[[bool], Workload]] = {
    "short": _short,
    "long": _long,
    "encoder": _encoder,
    "large": _large,
}


def workload(name: str, *, small: bool) -> Workload:
    """Return a workload: "short", "long", "encoder" or "large".

    Args:
        name: which.
        small: cut down to what a test can run; its times mean nothing.
    """
    return _WORKLOADS[name](small)
