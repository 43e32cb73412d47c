"""Benchmark 5: time and memory of reading and storing, from a thousand prompts to a million."""

import statistics
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.process import Rounds, Taken, fresh, interleaved, measured
from benchmarks.table import Bar, Row, ratios

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES = (1_000, 10_000, 100_000, 1_000_000)
_SMALL_SIZES = (100, 200, 400)
_SETTINGS = {"n_layer": 2, "n_embd": 64, "n_head": 4}
PICTURE = Path(__file__).with_name("growth.png")


def prompt(number: int) -> str:
    """Return the prompt of a number, about thirty characters, its target marked."""
    return f"Box {number} holds {{{number % 997}}} of {number % 89} kinds."


def rows(rounds: int, *, small: bool) -> Iterator[Row]:
    """Yield time and memory of each size; draw them where the sizes are the real ones.

    The largest size is run once, since it takes minutes.
    """
    sizes = _SMALL_SIZES if small else SIZES
    with tempfile.TemporaryDirectory() as folder:

        def run(size: str, turn: int) -> Taken:
            path = Path(folder) / f"{size}.jsonl"
            if not path.exists():
                _write(path, int(size))
            return Taken(**fresh("benchmarks.growth:read", path=str(path)))

        found = interleaved([str(size) for size in sizes[:-1]], rounds, run)
        found |= interleaved([str(sizes[-1])], 1, run)
    by_size = {int(size): taken for size, taken in found.items()}
    yield from told(by_size)
    known = {size: taken for size, taken in by_size.items() if not taken.reason}
    if not small and known:
        figure = drawn(known)
        figure.savefig(PICTURE, dpi=200)


def told(found: Mapping[int, Rounds]) -> Iterator[Row]:
    """Yield the time of each size, a prompt's relative to the size before, and the memory."""
    title = "random GPT-2 of 2 layers, d = 64, resid_post at the target"
    sizes = list(found)
    for i, (size, rounds) in enumerate(found.items()):
        name = f"{size:,} prompts"
        if rounds.reason:
            yield Row(title, name, remark=rounds.reason)
            continue
        yield Row(title, f"{name}, time", tuple(rounds.seconds), unit="s")
        smaller = found[sizes[i - 1]] if i else Rounds(reason="the smallest")
        if not smaller.reason:
            # Where the largest was run once, it is held against the smaller one's median.
            base = statistics.median(smaller.seconds) / sizes[i - 1]
            each = [seconds / size for seconds in rounds.seconds]
            remark = f"1.00: of {sizes[i - 1]:,}, as where time is linear"
            values = ratios(each, [base] * len(each))
            yield Row(title, f"{name}, time per prompt", values, remark=remark)
        megabytes = tuple(mebibytes * 2**20 / 1e6 for mebibytes in rounds.mebibytes)
        yield Row(
            title,
            f"{name}, peak memory beyond the model",
            megabytes,
            unit="MB",
            bar=Bar("at most", 1500) if size == SIZES[-1] else None,
            remark="" if megabytes else "the system does not tell",
        )


def drawn(found: Mapping[int, Rounds]) -> "Figure":
    """Draw time and memory over the number of prompts, on logarithmic axes."""
    from matplotlib.figure import Figure

    from interp.plotting.style import BLUE, GREY, put_titles, styled

    @styled
    def draw() -> Figure:
        sizes = list(found)
        figure = Figure(figsize=(8.0, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        seconds = [statistics.median(rounds.seconds) for rounds in found.values()]
        left.plot(sizes, seconds, "-o", color=BLUE, zorder=3, label="median of the rounds")
        linear = [seconds[-1] * size / sizes[-1] for size in sizes]
        left.plot(sizes, linear, "--", color=GREY, label="linear, through the last")
        left.set_ylabel("time (s)")
        left.legend()
        put_titles(left, "Time", "from a file to stored activations", 4.0)
        known = {size: rounds.mebibytes for size, rounds in found.items() if rounds.mebibytes}
        peaks = [statistics.median(peak) * 2**20 / 1e6 for peak in known.values()]
        right.plot(list(known), peaks, "-o", color=BLUE, zorder=3, label="median of the rounds")
        right.axhline(1500, color=GREY, linestyle="--", label="1.5 GB")
        right.set_ylabel("peak beyond the model (MB)")
        right.legend()
        put_titles(right, "Memory", "prompts, tokens and activations together", 4.0)
        for axes in (left, right):
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xlabel("prompts")
        return figure

    return draw()


def _write(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            file.write(f'{{"text": "{prompt(number)}"}}\n')


def read(path: str) -> dict[str, float | None]:
    """Read and store a file's prompts; called in a process of its own."""
    import dataclasses

    from benchmarks.ours import ours, ours_stored
    from interp.data.positions import Target
    from interp.data.prompts import from_marked
    from interp.data.prompts.written import PromptFile
    from interp.hooks.residual import ResidPost
    from interp.models import Random

    source = Random(architecture="gpt2", settings=_SETTINGS, device="cpu")
    hook, position = ResidPost(), Target()
    ours(source, from_marked({"all": [prompt(0), prompt(1)]}), hook, position)
    with tempfile.TemporaryDirectory() as folder:

        def work() -> None:
            prompts = PromptFile(path, group_column="").load()
            ours_stored(source, prompts, hook, position, Path(folder))

        _, taken = measured(work)
    return dataclasses.asdict(taken)
