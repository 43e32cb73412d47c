"""Runs that a store could not be told of: they wait on disk and are sent on the next start.

A folder a run, in `.unsent` of the outputs folder:

    run.json       what was told as it began, the store, and the run's id where it has one
    parts.jsonl    what was told since, a part a line
    artifacts/     its artifacts
    lock           held by the process whose run it is

and a folder with `sweep.json` for each sweep that ended meanwhile.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout

from interp.tracking.availability import ask_again
from interp.tracking.messages import Opening, Part, Point, created, now, tell
from interp.tracking.store import NoAnswerError, Run, Store, is_refusal, is_silence
from interp.tracking.sweep import Sweep

# Whoever waits for longer is told what for, in seconds.
_SILENT_S = 1.0

# Where this process's runs wait that have not ended, by their keys.
_OPEN: dict[str, tuple[Path, BaseFileLock]] = {}


@dataclass(frozen=True)
class Ended:
    """A sweep that ended while its store did not answer.

    Attributes:
        sweep: the sweep.
        completed: whether it came to its last job.
        at: when it ended, in milliseconds of the epoch.
        jobs: what each job is called, by number; none where that is not known.
    """

    sweep: Sweep
    completed: bool
    at: int
    jobs: tuple[str, ...] = ()


# What a sending of this process has ended.
_SENT: list[Ended] = []


def waits(store: Store, opening: Opening) -> bool:
    """Whether a run waits, so that what comes has to wait too."""
    return _place(store, opening).is_dir()


def wait(run: Run, opening: Opening) -> None:
    """Begin to keep a run of this process."""
    hidden = _folder(run.store) / f".new-{opening.key}"
    hidden.mkdir(parents=True)
    lock = FileLock(hidden / "lock", thread_local=False)
    lock.acquire()
    about = {"uri": run.store.uri, "run_id": run.run_id, **asdict(opening)}
    _write(hidden / "run.json", about)
    # Only now, held and whole, may others see it.
    folder = hidden.rename(_place(run.store, opening))
    _OPEN[opening.key] = folder, lock


def keep(key: str, part: Part) -> None:
    """Keep a part of a run that waits; with its end it is ready to be sent."""
    folder, lock = _OPEN[key]
    for source in part.artifacts:
        shutil.copytree(source, folder / "artifacts", dirs_exist_ok=True)
    _append(folder, part)
    if part.status:
        del _OPEN[key]
        lock.release()


def end_job(sweep: Sweep, number: int, since: int, end: Part) -> bool:
    """End the run of a sweep's job that waits, where its process died before it could.

    Args:
        sweep: the sweep.
        number: the job's number.
        since: runs that began before are not meant, in milliseconds of the epoch.
        end: how it ended.

    Returns:
        Whether a run of the job waits.
    """
    if not any(_kept(sweep.store, "run.json")):
        return False
    with _alone(sweep.store):
        for folder, about in _kept(sweep.store, "run.json"):
            is_it = about["parent"] == sweep.run_id and about["tags"].get("job") == str(number)
            if not is_it or about["began"] < since:
                continue
            with suppress(Timeout), FileLock(folder / "lock").acquire(blocking=False):
                if not any(part.status for part in _parts(folder)):
                    # What a process began to write as it was killed would spoil what follows.
                    file = folder / "parts.jsonl"
                    text = file.read_text(encoding="utf-8") if file.exists() else ""
                    file.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
                    _append(folder, end)
            return True
    return False


def end_later(ended: Ended) -> None:
    """Keep the end of a sweep: which it is, its jobs will tell."""
    store, run_id = ended.sweep.store, ended.sweep.run_id
    hidden = _folder(store) / f".new-{run_id}"
    hidden.mkdir(parents=True, exist_ok=True)
    about = {"uri": store.uri, "run_id": run_id, "completed": ended.completed, "at": ended.at}
    about["jobs"] = ended.jobs
    _write(hidden / "sweep.json", about)
    hidden.rename(hidden.with_name(f"{now()}-{run_id}"))
    # Nobody launches its jobs any more, also if this process goes on.
    ended.sweep.lock().release(force=True)


def waiting(store: Store, parent: str) -> int:
    """Return how many jobs of a sweep wait."""
    return sum(about["parent"] == parent for _, about in _kept(store, "run.json"))


def ended_late() -> list[Ended]:
    """Return the sweeps that sendings of this process have ended since this was last asked."""
    late = list(_SENT)
    _SENT.clear()
    return late


def arrive(store: Store) -> None:
    """Open a store as a run or a sweep begins, and send what has waited for it.

    Raises:
        ConfigError: it cannot be opened; NoAnswerError where it may be later.
    """
    ask_again(store)
    if not any(path.is_dir() for path in _folder(store).glob("*")):
        return
    with _alone(store):
        _remove_leftovers(_folder(store))
        sent = sum(_sent(store, folder, about) for folder, about in _kept(store, "run.json"))
        if sent:
            what = "1 result" if sent == 1 else f"{sent} results"
            _say(f"sent {what} that had waited to {store.uri}")
        for folder, about in _kept(store, "sweep.json"):
            _end(store, folder, about)


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """Keep others from sending: whoever comes meanwhile waits, and then finds what was sent."""
    lock = FileLock(_folder(store) / ".lock")
    try:
        lock.acquire(timeout=_SILENT_S)
    except Timeout:
        _say(f"waiting for another process that sends to {store.uri}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _sent(store: Store, folder: Path, about: dict[str, Any]) -> bool:
    """Send a run that waits; whether it was sent."""
    lock = FileLock(folder / "lock", thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        # Its process goes on.
        return False
    try:
        del about["uri"]
        run_id = about.pop("run_id")
        run_id = run_id or created(store, Opening(**about)).run_id
        tell(store, run_id, _merged(folder))
    except Exception as error:
        _refused(store, folder, error)
        return False
    finally:
        lock.release()
    _remove(folder)
    return True


def _end(store: Store, folder: Path, about: dict[str, Any]) -> None:
    """End a sweep, unless jobs of it still wait or somebody goes on with it."""
    sweep, jobs = Sweep(store, about["run_id"]), tuple(about.get("jobs", ()))
    ended = Ended(sweep, about["completed"], about["at"], jobs)
    if waiting(store, ended.sweep.run_id):
        return
    try:
        with ended.sweep.lock().acquire(blocking=False):
            children = ended.sweep.end(completed=ended.completed, at=ended.at)
    except Timeout:
        return
    except Exception as error:
        _refused(store, folder, error)
        return
    if children:
        _SENT.append(ended)
    _remove(folder)


def _refused(store: Store, folder: Path, error: Exception) -> None:
    """Tell of what a store does not take, and leave it where it is.

    Raises:
        NoAnswerError: the store has stopped answering.
        Exception: a mistake of the program's.
    """
    if is_silence(store, error):
        # A server says the same of what it stumbles over, and that must stop nobody.
        _ask(store)
    elif not is_refusal(error) and not isinstance(error, ValueError):
        raise error
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    _say(f"{folder} cannot be sent to {store.uri}: {reason}")


def _ask(store: Store) -> None:
    """Raise NoAnswerError unless a store answers the least of questions."""
    try:
        store.client.search_experiments(max_results=1)
    except Exception as error:
        if not is_silence(store, error):
            raise
        raise NoAnswerError(f"tracking.uri: {store.uri} stopped answering") from error


def _merged(folder: Path) -> Part:
    """Return all that waits of a run as one part.

    A process that was killed before it told how the run ended left it without a word.
    """
    parts = _parts(folder)
    artifacts = folder / "artifacts"
    whole = Part(
        artifacts=[artifacts] if artifacts.is_dir() else [],
        params={key: value for part in parts for key, value in part.params.items()},
        metrics=[point for part in parts for point in part.metrics],
        tags={key: value for part in parts for key, value in part.tags.items()},
        dataset={key: value for part in parts for key, value in part.dataset.items()},
        status="".join(part.status for part in parts),
        ended=max((part.ended for part in parts), default=0),
    )
    if whole.status:
        return whole
    last = max(path.stat().st_mtime_ns for path in folder.iterdir()) // 10**6
    error = {"error": "the run's process ended before the run"}
    return replace(whole, tags={**whole.tags, **error}, status="KILLED", ended=last)


def _parts(folder: Path) -> list[Part]:
    """Return what was told of a run; where its process was killed the last line may be cut."""
    file, parts = folder / "parts.jsonl", list[Part]()
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    for line in text.split("\n")[:-1]:
        fields = json.loads(line)
        fields["metrics"] = [Point(*values) for values in fields["metrics"]]
        parts.append(Part(**fields))
    return parts


def _append(folder: Path, part: Part) -> None:
    line = json.dumps({**asdict(part), "artifacts": []}, ensure_ascii=False)
    with (folder / "parts.jsonl").open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def _place(store: Store, opening: Opening) -> Path:
    return _folder(store) / f"{opening.began}-{opening.key}"


def _folder(store: Store) -> Path:
    return store.outputs / ".unsent"


def _kept(store: Store, name: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the folders that wait for a store, the oldest first, with what a file of them says."""
    for file in sorted(_folder(store).glob(f"[0-9]*/{name}")):
        try:
            about = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            # Somebody has sent it since.
            continue
        if about["uri"] == store.uri:
            yield file.parent, about


def _write(file: Path, about: dict[str, Any]) -> None:
    text = json.dumps(about, indent=2, ensure_ascii=False)
    file.write_text(f"{text}\n", encoding="utf-8")


def _remove(folder: Path) -> None:
    # At once for whoever looks, also if removing it is interrupted.
    shutil.rmtree(folder.rename(folder.with_name(f".sent-{folder.name}")))


def _remove_leftovers(folder: Path) -> None:
    """Remove what a process left that was killed as it removed a folder that had been sent."""
    for left in folder.glob(".sent-*"):
        shutil.rmtree(left)


def _say(text: str) -> None:
    print(f"tracking: {text}", file=sys.stderr, flush=True)
