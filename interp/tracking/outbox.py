"""Runs that could not be sent to their store: they wait on disk until the next start sends them.

The folder `.unsent` in the outputs folder holds one folder per run:

    run.json       the `RunStart`, the store, and the run's id where it has one
    parts.jsonl    the messages, one per line
    artifacts/     the artifacts of all messages
    lock           held by the process that works on the run

and one folder with `sweep.json` for each sweep that ended while its store did not answer.
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

from interp.tracking.availability import reconnect
from interp.tracking.messages import Message, MetricPoint, RunStart, find_or_create_run, now, send
from interp.tracking.store import (
    Run,
    Store,
    StoreUnavailableError,
    is_store_error,
    is_unavailable,
)
from interp.tracking.sweep import Sweep

# A process that waits for longer, in seconds, prints the reason.
_PATIENCE_S = 1.0

# Folder and lock of each waiting run of this process that has not ended, by the run's key: the
# lock must be held for as long as the run works.
_OPEN: dict[str, tuple[Path, BaseFileLock]] = {}


@dataclass(frozen=True)
class EndedSweep:
    """A sweep that ended while its store did not answer.

    Attributes:
        sweep: the sweep.
        completed: whether all its jobs were launched.
        at: when it ended, in milliseconds since the epoch.
        jobs: the name of each job, by number; empty where they are not known.
    """

    sweep: Sweep
    completed: bool
    at: int
    jobs: tuple[str, ...] = ()


# Sweeps that this process has closed late, for the command line to show.
_CLOSED: list[EndedSweep] = []


def has_run(store: Store, start: RunStart) -> bool:
    """Whether a run waits, so that its later messages have to wait too."""
    return _run_folder(store, start).is_dir()


def begin(run: Run, start: RunStart) -> None:
    """Open a folder for a run of this process."""
    hidden = _folder(run.store) / f".new-{start.key}"
    hidden.mkdir(parents=True)
    lock = FileLock(hidden / "lock", thread_local=False)
    lock.acquire()
    about = {"uri": run.store.uri, "run_id": run.run_id, **asdict(start)}
    _write(hidden / "run.json", about)
    # Other processes may see it only now that it is complete and locked.
    folder = hidden.rename(_run_folder(run.store, start))
    _OPEN[start.key] = folder, lock


def append(key: str, message: Message) -> None:
    """Keep a message of a waiting run; a message with a status makes the run ready to be sent."""
    folder, lock = _OPEN[key]
    for source in message.artifacts:
        shutil.copytree(source, folder / "artifacts", dirs_exist_ok=True)
    _append(folder, message)
    if message.status:
        del _OPEN[key]
        lock.release()


def end_waiting_job(sweep: Sweep, number: int, since: int, end: Message) -> bool:
    """End the waiting run of a sweep's job whose process died before it could.

    Args:
        sweep: the sweep.
        number: the job's number.
        since: in milliseconds since the epoch; earlier runs are left out.
        end: how the run ended.

    Returns:
        Whether a run of the job waits.
    """
    if not any(_kept(sweep.store, "run.json")):
        return False
    with _sending_lock(sweep.store):
        for folder, about in _kept(sweep.store, "run.json"):
            is_job = about["parent"] == sweep.run_id and about["tags"].get("job") == str(number)
            if not is_job or about["began"] < since:
                continue
            with suppress(Timeout), FileLock(folder / "lock").acquire(blocking=False):
                if not any(message.status for message in _messages(folder)):
                    # A line cut off when the process was killed would damage the next one.
                    file = folder / "parts.jsonl"
                    text = file.read_text(encoding="utf-8") if file.exists() else ""
                    file.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
                    _append(folder, end)
            return True
    return False


def keep_sweep_end(ended: EndedSweep) -> None:
    """Keep the end of a sweep on disk; its jobs will decide whether it FINISHED or FAILED."""
    store, run_id = ended.sweep.store, ended.sweep.run_id
    hidden = _folder(store) / f".new-{run_id}"
    hidden.mkdir(parents=True, exist_ok=True)
    about = {"uri": store.uri, "run_id": run_id, "completed": ended.completed, "at": ended.at}
    about["jobs"] = ended.jobs
    _write(hidden / "sweep.json", about)
    hidden.rename(hidden.with_name(f"{now()}-{run_id}"))
    # No more jobs are launched, also if this process goes on.
    ended.sweep.lock().release(force=True)


def count_waiting_jobs(store: Store, parent: str) -> int:
    """Return how many jobs of a sweep wait on disk."""
    return sum(about["parent"] == parent for _, about in _kept(store, "run.json"))


def take_ended_sweeps() -> list[EndedSweep]:
    """Return the sweeps that this process has closed late since the last call."""
    late = list(_CLOSED)
    _CLOSED.clear()
    return late


def send_waiting(store: Store) -> None:
    """Open a store when a run or a sweep starts, and send all that waits for it.

    Raises:
        TrackingError: the store cannot be opened; StoreUnavailableError where a later try may
            succeed.
    """
    reconnect(store)
    if not any(path.is_dir() for path in _folder(store).glob("*")):
        return
    with _sending_lock(store):
        _remove_leftovers(_folder(store))
        sent = sum(_send_run(store, folder, about) for folder, about in _kept(store, "run.json"))
        if sent:
            what = "1 result" if sent == 1 else f"{sent} results"
            _say(f"sent {what} that had waited to {store.uri}")
        for folder, about in _kept(store, "sweep.json"):
            _end_sweep(store, folder, about)


@contextmanager
def _sending_lock(store: Store) -> Iterator[None]:
    """Let one process at a time send; the others wait, and then find nothing left to send."""
    lock = FileLock(_folder(store) / ".lock")
    try:
        lock.acquire(timeout=_PATIENCE_S)
    except Timeout:
        _say(f"waiting for another process that sends to {store.uri}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _send_run(store: Store, folder: Path, about: dict[str, Any]) -> bool:
    """Send a waiting run; return whether it was sent."""
    lock = FileLock(folder / "lock", thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        # Its process still works on it.
        return False
    try:
        del about["uri"]
        run_id = about.pop("run_id")
        run_id = run_id or find_or_create_run(store, RunStart(**about)).run_id
        send(store, run_id, _merged(folder))
    except Exception as error:
        _report_unsent(store, folder, error)
        return False
    finally:
        lock.release()
    _remove(folder)
    return True


def _end_sweep(store: Store, folder: Path, about: dict[str, Any]) -> None:
    """End a sweep, unless some of its jobs still wait or another process goes on with it."""
    sweep, jobs = Sweep(store, about["run_id"]), tuple(about.get("jobs", ()))
    ended = EndedSweep(sweep, about["completed"], about["at"], jobs)
    if count_waiting_jobs(store, ended.sweep.run_id):
        return
    try:
        with ended.sweep.lock().acquire(blocking=False):
            children = ended.sweep.end(completed=ended.completed, at=ended.at)
    except Timeout:
        return
    except Exception as error:
        _report_unsent(store, folder, error)
        return
    if children:
        _CLOSED.append(ended)
    _remove(folder)


def _report_unsent(store: Store, folder: Path, error: Exception) -> None:
    """Print why a store refused a folder's contents, and leave them on disk.

    Raises:
        StoreUnavailableError: the store has stopped answering.
        Exception: `error`, where it comes from a bug in the program.
    """
    if is_unavailable(store, error):
        # A server reports one request that it fails on in the same way; the others must go on.
        _check_answers(store)
    elif not is_store_error(error) and not isinstance(error, ValueError):
        raise error
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    _say(f"{folder} cannot be sent to {store.uri}: {reason}")


def _check_answers(store: Store) -> None:
    """Raise StoreUnavailableError unless the store answers a minimal request."""
    try:
        store.client.search_experiments(max_results=1)
    except Exception as error:
        if not is_unavailable(store, error):
            raise
        raise StoreUnavailableError(f"tracking.uri: {store.uri} stopped answering") from error


def _merged(folder: Path) -> Message:
    """Return all messages of a waiting run as one.

    A run without a status was KILLED: its process ended before it could record one.
    """
    messages = _messages(folder)
    artifacts = folder / "artifacts"
    whole = Message(
        artifacts=[artifacts] if artifacts.is_dir() else [],
        params={key: value for message in messages for key, value in message.params.items()},
        metrics=[point for message in messages for point in message.metrics],
        tags={key: value for message in messages for key, value in message.tags.items()},
        dataset={key: value for message in messages for key, value in message.dataset.items()},
        status="".join(message.status for message in messages),
        ended=max((message.ended for message in messages), default=0),
    )
    if whole.status:
        return whole
    last = max(path.stat().st_mtime_ns for path in folder.iterdir()) // 10**6
    error = {"error": "the run's process ended before the run"}
    return replace(whole, tags={**whole.tags, **error}, status="KILLED", ended=last)


def _messages(folder: Path) -> list[Message]:
    """Return a run's messages, without a last line that was cut off when its process was killed."""
    file, messages = folder / "parts.jsonl", list[Message]()
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    for line in text.split("\n")[:-1]:
        fields = json.loads(line)
        fields["metrics"] = [MetricPoint(*values) for values in fields["metrics"]]
        messages.append(Message(**fields))
    return messages


def _append(folder: Path, message: Message) -> None:
    line = json.dumps({**asdict(message), "artifacts": []}, ensure_ascii=False)
    with (folder / "parts.jsonl").open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def _run_folder(store: Store, start: RunStart) -> Path:
    return _folder(store) / f"{start.began}-{start.key}"


def _folder(store: Store) -> Path:
    return store.outputs / ".unsent"


def _kept(store: Store, name: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the folders that wait for a store, oldest first, with the contents of one JSON file."""
    for file in sorted(_folder(store).glob(f"[0-9]*/{name}")):
        try:
            about = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            # Another process has sent it meanwhile.
            continue
        if about["uri"] == store.uri:
            yield file.parent, about


def _write(file: Path, about: dict[str, Any]) -> None:
    text = json.dumps(about, indent=2, ensure_ascii=False)
    file.write_text(f"{text}\n", encoding="utf-8")


def _remove(folder: Path) -> None:
    # Renamed first, so that no process takes a half-removed folder for a waiting one.
    shutil.rmtree(folder.rename(folder.with_name(f".sent-{folder.name}")))


def _remove_leftovers(folder: Path) -> None:
    """Remove folders that were sent, and whose removal was interrupted."""
    for left in folder.glob(".sent-*"):
        shutil.rmtree(left)


def _say(text: str) -> None:
    print(f"tracking: {text}", file=sys.stderr, flush=True)
