"""Jobs that submitit starts, on this machine or on a cluster, and waiting for all of them."""

import os
import re
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass, fields
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar, NoReturn

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from interp.cli.hydra.open_sweep import OPEN_SWEEP
from interp.cli.hydra.sweep_jobs import SweepJobs
from interp.cli.schema import SubmititSettings
from interp.core.errors import ConfigError
from interp.tracking import one_line

# Seconds between two looks at the jobs' files.
_PAUSE = 1.0
# Seconds that a file may take from the machine of its job to this one.
_LAG = 5.0
# Seconds that cancelled jobs are given to stop: Slurm itself kills them after 30.
_STOPPING = 60.0
# Seconds between two queries of Slurm: two at the beginning, and half a minute in the long run.
_QUERY_INTERVALS = (2.0, 30.0)
# The states in Slurm of a job that will not run any more.
_ENDED_STATES = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
    *("PREEMPTED", "TIMEOUT"),
}


@dataclass(frozen=True)
class _End:
    """How a job's process ended, as far as is known, and whether it was made to."""

    words: str
    is_killed: bool = True


@dataclass(frozen=True)
class _Worker:
    """What submitit calls in the process of a job."""

    jobs: SweepJobs

    def __call__(
        self, overrides: Sequence[str], number: int, state: dict[type, Singleton]
    ) -> JobReturn:
        """Run one job; what asks it to end ends it as Ctrl-C would."""
        import submitit

        # submitit has Python ignore it, and so Slurm would wait half a minute, then kill.
        signal.signal(signal.SIGTERM, _end_from_outside)
        job_id = str(submitit.JobEnvironment().job_id)
        return self.jobs.run_in_worker(overrides, number, job_id, state)

    def checkpoint(self, *arguments: Any) -> Any:
        """Start a job again from its beginning when its time was up, if it may be."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, *arguments)


class Executor(ABC):
    """Where submitit runs jobs: how it is asked for them, how they end and are cancelled."""

    engine: ClassVar[str]

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings: dict[str, Any] = {
            key: OmegaConf.to_container(value, resolve=True)
            if OmegaConf.is_config(value)
            else value
            for key, value in settings.items()
        }

    @property
    def logs(self) -> Path:
        """The folder in which each job has a folder of its own, for its logs."""
        return Path(self._settings["submitit_folder"]).parent

    def log_of(self, job: Any) -> Path:
        """Return the log in which a job's errors are."""
        path = job.paths.stdout if self._settings["stderr_to_stdout"] else job.paths.stderr
        return Path(path)

    def start(self, jobs: SweepJobs, given: Mapping[int, list[str]]) -> list[Any]:
        """Start the jobs, whose overrides are given by their numbers.

        Raises:
            ConfigError: they cannot be started.
        """
        import submitit

        common = {one.name for one in fields(SubmititSettings)}
        of_all, own = {}, {}
        for key, value in self._settings.items():
            if key == "max_num_timeout":
                own[f"{self.engine}_{key}"] = value
            elif key != "submitit_folder":
                of_all[key if key in common else f"{self.engine}_{key}"] = value
        self.logs.mkdir(parents=True, exist_ok=True)
        executor = submitit.AutoExecutor(
            self._settings["submitit_folder"], cluster=self.engine, **own
        )
        executor.update_parameters(**of_all)
        state = Singleton.get_state()
        calls = [(overrides, number, state) for number, overrides in given.items()]
        try:
            # What sbatch prints is part of the error, and printed by submitit as well.
            with redirect_stderr(StringIO()):
                return list(executor.map_array(_Worker(jobs), *zip(*calls, strict=True)))
        except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as e:
            reason = _last_line(str(e))
            raise ConfigError(f"hydra/launcher: the jobs were refused: {reason}") from e

    @abstractmethod
    def describe_start(self, jobs: Sequence[Any]) -> str:
        """Return a sentence on how many jobs were started, and where."""

    @abstractmethod
    def ended(self, jobs: Mapping[int, Any]) -> dict[int, _End]:
        """Return those of the jobs that have ended, by their numbers."""

    @abstractmethod
    def cancel(self, jobs: Sequence[Any]) -> None:
        """Ask the jobs to end."""


class LocalExecutor(Executor):
    """All jobs at once on this machine."""

    engine = "local"

    def start(self, jobs: SweepJobs, given: Mapping[int, list[str]]) -> list[Any]:
        """Start the jobs, each its own process."""
        # Ctrl-C reaches every process of a terminal; of these, the one that waits stops the others.
        own = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return super().start(jobs, given)
        finally:
            signal.signal(signal.SIGINT, own)

    def describe_start(self, jobs: Sequence[Any]) -> str:
        """Return a sentence on how many jobs were started."""
        return f"{len(jobs)} jobs started"

    def ended(self, jobs: Mapping[int, Any]) -> dict[int, _End]:
        """Return the jobs whose process has ended."""
        return {number: _End("its process ended") for number, job in jobs.items() if job.done()}

    def cancel(self, jobs: Sequence[Any]) -> None:
        """End the jobs' processes."""
        for job in jobs:
            with suppress(ProcessLookupError):
                # The number of a job here is that of the process which watches it and passes it on.
                os.kill(int(job.job_id), signal.SIGTERM)


class SlurmExecutor(Executor):
    """One array of jobs on a Slurm cluster."""

    engine = "slurm"

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        self._began = time.monotonic()
        self._asked = self._began
        # When Slurm first reported that a job had ended, and how it ended.
        self._reported: dict[int, tuple[float, _End]] = {}

    def describe_start(self, jobs: Sequence[Any]) -> str:
        """Return a sentence on how many jobs were submitted, and the number of their array."""
        return f"{len(jobs)} jobs submitted to Slurm as {_array(jobs)}"

    def ended(self, jobs: Mapping[int, Any]) -> dict[int, _End]:
        """Return the jobs that have a result, or that Slurm reports as ended."""
        now = time.monotonic()
        least, most = _QUERY_INTERVALS
        if now - self._asked > min(most, max(least, (now - self._began) / 20)):
            self._asked = now
            self._query(jobs, now)
        ended = {}
        for number, job in jobs.items():
            since, how = self._reported.get(number, (now, _End("")))
            # The result of a job may still be on its way when Slurm reports its end.
            if _has_result(job) or now - since > _LAG:
                ended[number] = how
        return ended

    def _query(self, jobs: Mapping[int, Any], now: float) -> None:
        known = _ended_in_slurm([str(job.job_id) for job in jobs.values()])
        for number, job in jobs.items():
            if job.job_id in known:
                self._reported.setdefault(number, (now, known[job.job_id]))
            else:
                # Slurm may put a job back into the queue.
                self._reported.pop(number, None)

    def cancel(self, jobs: Sequence[Any]) -> None:
        """Cancel the whole array."""
        subprocess.run(["scancel", _array(jobs)], check=False)


def launch(
    executor: Executor, jobs: SweepJobs, overrides: Sequence[Sequence[str]], first: int
) -> list[JobReturn]:
    """Start the jobs, and return when all of them have ended, in whichever way.

    Ctrl-C cancels those that have not.

    Args:
        executor: where they run.
        jobs: what runs them.
        overrides: of each job.
        first: the number of the first of them in the sweep.

    Raises:
        ConfigError: they cannot be started.
    """
    given = {number: list(line) for number, line in enumerate(overrides, first)}
    started = dict(zip(given, executor.start(jobs, given), strict=True))
    waiting, returned = dict(started), dict[int, JobReturn]()
    logs = os.path.relpath(executor.logs)
    _report(f"{executor.describe_start(list(started.values()))}; their output goes to {logs}")
    try:
        while waiting:
            for number, how in executor.ended(waiting).items():
                ended = _end(executor, waiting.pop(number), number, given[number], how)
                returned[number] = ended
                _report_end(started[number], number, returned, len(given))
            time.sleep(max(_PAUSE, len(waiting) / 100) if waiting else 0)
    except KeyboardInterrupt:
        _report(f"cancelling the {len(waiting)} jobs that have not ended, and waiting for them")
        executor.cancel(list(waiting.values()))
        until = time.monotonic() + _STOPPING
        while waiting and time.monotonic() < until:
            for number in executor.ended(waiting):
                del waiting[number]
            time.sleep(_PAUSE)
        raise
    return [returned[number] for number in given]


def _end(executor: Executor, job: Any, number: int, overrides: list[str], how: _End) -> JobReturn:
    """Return what the job returned; where it could not, note in its run why."""
    error: BaseException
    if _has_result(job):
        status = "FAILED"
        try:
            [returned] = job.results()
        except Exception as raised:
            # What the worker wrote: what it loads or what it returns cannot be read.
            error, reason = raised, _last_line(job.exception() or raised)
        else:
            if returned.status == JobStatus.COMPLETED:
                return returned
            # It has recorded this itself, if it had come to the point of opening its run.
            error = returned._return_value
            reason = one_line(error)
    else:
        log = executor.log_of(job)
        line = _last_line(log.read_text("utf-8", errors="replace")) if log.exists() else ""
        reason = f"{how.words}; its log ends: {line}" if line else how.words
        # Where Python's own last line names an exception, the job was not killed.
        of_python = re.match(r"[\w.]+(Error|Exception)\b", line)
        status = "KILLED" if how.is_killed and not of_python else "FAILED"
        error = RuntimeError(reason)
    if opened := OPEN_SWEEP.get():
        opened.record_dead_job(number, overrides, status, reason)
    return JobReturn(overrides, status=JobStatus.FAILED, _return_value=error)


def _report_end(job: Any, number: int, returned: Mapping[int, JobReturn], count: int) -> None:
    failed = sum(ret.status != JobStatus.COMPLETED for ret in returned.values())
    with_failed = f", {failed} failed" if failed else ""
    line = _line_of(job, number) or f"{number}  {returned[number]._return_value}"
    _report(f"[{len(returned)} of {count} ended{with_failed}] {line}")


def _line_of(job: Any, number: int) -> str:
    """Return the line that a job printed of itself, from its log; "" where it printed none."""
    for log in map(Path, (job.paths.stdout, job.paths.stderr)):
        lines = log.read_text("utf-8", errors="replace").splitlines() if log.exists() else []
        for line in reversed(lines):
            if line.startswith(f"{number}  "):
                return line
    return ""


def _array(jobs: Sequence[Any]) -> str:
    """Return the number that an array of jobs has in Slurm."""
    return str(jobs[0].job_id).partition("_")[0]


def _ended_in_slurm(jobs: Sequence[str]) -> dict[str, _End]:
    """Ask Slurm which of an array's jobs will not run any more, and how they ended.

    `sacct`, which submitit asks, answers only where the cluster keeps accounts.
    """
    array = jobs[0].partition("_")[0]
    columns = "JobArrayID:64,State:32,exit_code:32"
    options = ("--noheader", "--array", "--states=all", f"--Format={columns}", f"--jobs={array}")
    asked = subprocess.run(["squeue", *options], capture_output=True, text=True, check=False)
    if asked.returncode and "Invalid job id" not in asked.stderr:
        # It does not answer now, and will be asked again.
        return {}
    # Slurm forgets a job some minutes after its end.
    ended = dict.fromkeys(jobs, _End("Slurm no longer knows it"))
    for job, state, waited in (line.split() for line in asked.stdout.splitlines() if line.strip()):
        ended.pop(job, None)
        if state in _ENDED_STATES:
            code = os.waitstatus_to_exitcode(int(waited))
            with_code = f", exit code {code}" if code > 0 else ""
            is_killed = state != "FAILED" or not 0 < code < 128
            ended[job] = _End(f"Slurm: {state.lower().replace('_', ' ')}{with_code}", is_killed)
    return ended


def _has_result(job: Any) -> bool:
    # A file system of several machines shows a new file when its folder is listed anew.
    file = Path(job.paths.result_pickle)
    return file.parent.is_dir() and file in file.parent.iterdir()


def _end_from_outside(signum: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt(signal.Signals(signum).name)


def _last_line(text: object) -> str:
    """Return the last line that names an error; where there is none, the last."""
    lines = [line.strip() for line in str(text).splitlines() if line.strip("- ")]
    telling = [line for line in lines if re.search(r"error|exception", line, re.IGNORECASE)]
    return [*lines, *telling][-1] if lines else ""


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
