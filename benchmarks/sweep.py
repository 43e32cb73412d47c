"""Benchmark 4: a sweep over layers and metrics against separate processes and against its floor."""

import dataclasses
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.comparison import Compared, difference
from benchmarks.process import Rounds, Taken, fresh, interleaved, output_of
from benchmarks.table import Bar, Row

METRICS = ("cosine", "linear_cka", "rsa", "euclidean")
# Measured of the runs as separate processes, the first included: each takes many seconds.
SAMPLED = 4

SWEEP, AGAIN, FLOOR = "one sweep", "started again", "floor"
SEPARATE, ALONE = "separate processes", "separate processes on their own"


@dataclass(frozen=True)
class Shape:
    """The sweep's model, as overrides of the tiny one, and its layers."""

    n_layer: int
    n_embd: int
    n_head: int

    @property
    def settings(self) -> dict[str, int]:
        """The model's settings."""
        return dataclasses.asdict(self)

    def overrides(self, outputs: Path) -> list[str]:
        """Return the command line's arguments, but for layers and metric: 108 prompts."""
        settings = ", ".join(f"{key}: {value}" for key, value in self.settings.items())
        return [
            f"outputs={outputs}",
            "model=tiny",
            f"model.settings={{{settings}}}",
            "model.device=cpu",
            "prompts=him_her",
            "prompts.fillers.when=[that evening]",
            "hook=resid_post",
            "position=target",
            "analysis=layer_similarity",
        ]

    def jobs(self) -> list[tuple[int, str]]:
        """Return the layer and the metric of every job."""
        return list(itertools.product(range(self.n_layer), METRICS))


def shape(small: bool) -> Shape:
    """Return GPT-2 small's shape, or one that a test can run."""
    return Shape(2, 32, 4) if small else Shape(12, 768, 12)


def sampled(jobs: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return the jobs that are measured as separate processes, spread over layers and metrics."""
    count = min(SAMPLED, len(jobs))
    # A step that is no multiple of the number of metrics comes by each of them.
    step = len(jobs) // count + 1
    return [jobs[i * step % len(jobs)] for i in range(count)]


def scaled(seconds: list[float], jobs: int) -> float:
    """Return what all jobs take as processes of one folder: the first, the others' mean for each.

    The first one alone makes the database, and reads what later ones find.
    """
    first, *others = seconds
    return first + (jobs - 1) * statistics.mean(others)


def rows(rounds: int, *, small: bool) -> Iterator[Row]:
    """Yield the sweep against separate processes of two kinds, its floor, and a second start."""
    of, again = shape(small), []
    with tempfile.TemporaryDirectory() as folder:

        def run(way: str, turn: int) -> Taken:
            outputs = _outputs(Path(folder), way, turn)
            taken = Taken(_WAYS[way](of, outputs))
            if way == SWEEP:
                again.append(Taken(_sweep(of, outputs)))
            return taken

        taken = interleaved(list(_WAYS), rounds, run)
        second = Rounds(reason=taken[SWEEP].reason) if taken[SWEEP].reason else Rounds(again)
        found = Compared({**taken, AGAIN: second}, {})
        differs = None
        if not (found.rounds[SWEEP].reason or found.rounds[FLOOR].reason):
            first = [_outputs(Path(folder), way, 0) for way in (SWEEP, FLOOR)]
            differs = _difference(of, *first)
    yield from told(of, found, differs, " (cut down)" if small else "")


def _outputs(folder: Path, way: str, turn: int) -> Path:
    """Return the folder of runs that a way begins with in a round: each has its own."""
    return folder / f"{way.replace(' ', '_')}_{turn}"


def told(of: Shape, found: Compared, differs: float | None, cut: str) -> Iterator[Row]:
    """Yield what the four took as rows; `differs` says how far sweep and floor are apart."""
    jobs = of.jobs()
    title = f"{of.n_layer} layers × {len(METRICS)} metrics, GPT-2 small shapes, 108 prompts{cut}"
    seconds = found.rounds[SWEEP].seconds
    took = f"{statistics.median(seconds):.1f} s" if seconds else ""

    def row(name: str, over: str, under: str, bar: Bar | None, remark: str) -> Row:
        apart = differs if under == FLOOR else None
        remark = found.remark(over, under, remark)
        values = found.time(over, under)
        return Row(title, name, values, bar=bar, difference=apart, remark=remark)

    yield row(
        "the same runs as separate processes, times slower",
        ALONE,
        SWEEP,
        Bar("at least", 20),
        f"1.00: one command, {took}; each process with a folder of its own, so that it loads the "
        f"model and reads for itself; {len(sampled(jobs))} of {len(jobs)} were run",
    )
    yield row(
        "the same with one folder, times slower",
        SEPARATE,
        SWEEP,
        None,
        "later processes find the activations of the first and load no model; "
        f"{len(sampled(jobs))} of {len(jobs)} were run, the first counted once",
    )
    yield row(
        "the sweep against its floor",
        SWEEP,
        FLOOR,
        Bar("at most", 1.3),
        f"1.00: one process that imports, reads once, and for each of {len(jobs)} jobs calls the "
        "analysis, saves its result and logs it; no Hydra, no configuration",
    )
    yield row(
        "the finished sweep started again",
        AGAIN,
        SWEEP,
        Bar("at most", 0.1),
        "1.00: its first start",
    )


def _command(of: Shape, outputs: Path, layers: str, metrics: str, *options: str) -> float:
    chosen = [f"hook.layers={layers}", f"metric={metrics}"]
    command = [sys.executable, "-m", "interp", *options, *of.overrides(outputs), *chosen]
    start = time.perf_counter()
    output_of(command)
    return time.perf_counter() - start


def _sweep(of: Shape, outputs: Path) -> float:
    layers = ",".join(str(layer) for layer in range(of.n_layer))
    return _command(of, outputs, layers, ",".join(METRICS), "-m")


def _separate(of: Shape, outputs: Path) -> float:
    jobs = of.jobs()
    taken = [_command(of, outputs, str(layer), metric) for layer, metric in sampled(jobs)]
    return scaled(taken, len(jobs))


def _floor(of: Shape, outputs: Path) -> float:
    start = time.perf_counter()
    fresh("benchmarks.sweep:floor", shape=of.settings, outputs=str(outputs))
    return time.perf_counter() - start


def _alone(of: Shape, outputs: Path) -> float:
    jobs = of.jobs()
    taken = [
        _command(of, outputs / f"{layer}-{metric}", str(layer), metric)
        for layer, metric in sampled(jobs)
    ]
    return len(jobs) * statistics.mean(taken)


_WAYS = {SWEEP: _sweep, SEPARATE: _separate, ALONE: _alone, FLOOR: _floor}


def floor(shape: dict[str, int], outputs: str) -> None:
    """Do what the jobs are for and nothing else; called in a process of its own."""
    from benchmarks.ours import activations
    from benchmarks.workloads import him_and_her
    from interp.data.positions import Target
    from interp.experiments.layer_similarity.analysis import LayerSimilarity
    from interp.hooks.residual import ResidPost
    from interp.metrics import METRICS as KNOWN
    from interp.models import Random
    from interp.reductions import REDUCTIONS
    from interp.runner.reference_model import Reference
    from interp.tracking import Store, recorded_run

    source = Random(architecture="gpt2", settings=shape, device="cpu")
    prompts, hook, position = him_and_her(), ResidPost(), Target()
    found = activations(source, prompts, hook, position)
    store, folder = Store.of(outputs, None, 5000), Path(outputs)
    analysis, identity = LayerSimilarity(), REDUCTIONS["identity"]()
    for layer, metric in Shape(**shape).jobs():
        one = dataclasses.replace(found, values=found.values[[layer]], layers=(layer,))
        reference = Reference(source.title, one.layers, one.samples, "", 0, _no_reference)
        job = folder / "runs" / f"{layer}-{metric}"
        with recorded_run(store, "layer_similarity", job.name, job) as record:
            result = analysis(
                activations=one,
                prompts=prompts,
                source=source,
                hook=hook,
                position=position,
                metric=KNOWN[metric](),
                reduction=identity,
                reference=reference,
                rng=np.random.default_rng(0),
            )
            result.save(job)
            record.log_result(result, job)


def _difference(of: Shape, swept: Path, floored: Path) -> float:
    """Return how far the sweep's values are from those of the floor, which does the same work."""
    # A folder a start, named after when that was.
    folder = sorted((swept / "sweeps").glob("*/*"))[0]
    apart = []
    for number, (layer, metric) in enumerate(of.jobs()):
        found = _series(folder / str(number))
        expected = _series(floored / "runs" / f"{layer}-{metric}")
        if found.keys() != expected.keys():
            raise ValueError(f"job {number} has {sorted(found)}, its floor {sorted(expected)}")
        apart += [
            difference(np.array(found[name]["values"]), np.array(expected[name]["values"]))
            for name in expected
        ]
    return max(apart)


def _series(folder: Path) -> dict[str, Any]:
    told = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    series: dict[str, Any] = told["series"]
    return series


def _no_reference(i: int) -> None:
    raise IndexError(f"there is no reference to draw number {i} of")
