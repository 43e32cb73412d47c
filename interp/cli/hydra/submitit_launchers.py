"""Jobs that submitit starts, on this machine or on a cluster: how they are waited for, all of them.

The plugin itself returns at the first job that died, while others still run.
"""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from hydra_plugins.hydra_submitit_launcher import submitit_launcher
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

from interp.cli.hydra.callback import SweepCallback
from interp.core.errors import ConfigError
from interp.tracking import one_line

# Seconds between two looks at the jobs' files.
_PAUSE = 1.0
# Seconds that a file may take from the machine of its job to this one.
_LAG = 5.0
# Seconds that cancelled jobs are given to stop: Slurm itself kills them after 30.
_STOPPING = 60.0
# Seconds between two questions to Slurm: two in the beginning, and as many in the long run.
_ASKING = (2.0, 30.0)
# What Slurm calls a job that will not run any more.
_OVER = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
    *("PREEMPTED", "TIMEOUT"),
}


@dataclass(frozen=True)
class _End:
    """How a job's process ended, as far as is known, and whether it was made to."""

    words: str
    killed: bool = True


class _Waiting(ABC):
    """What submitit's launchers have in common here."""

    params: dict[str, Any]
    hydra_context: Any
    _EXECUTOR: str

    @abstractmethod
    def _told(self, jobs: Sequence[Any]) -> str:
        """Say that the jobs have been started, and where."""

    @abstractmethod
    def _ended(self, jobs: Mapping[int, Any]) -> dict[int, _End]:
        """Return those of the jobs that have ended, by their numbers."""

    @abstractmethod
    def _cancel(self, jobs: Sequence[Any]) -> None:
        """Ask the jobs to end."""

    def __call__(self, *arguments: Any) -> JobReturn:
        """Run one job, in its own process; what asks it to end ends it as Ctrl-C would."""
        # submitit has Python ignore it, and so Slurm would wait half a minute, then kill.
        signal.signal(signal.SIGTERM, _ended_from_outside)
        ran: JobReturn = super().__call__(*arguments)  # type: ignore[misc]
        return ran

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> list[JobReturn]:
        """Start the jobs, and return when all of them have ended, in whichever way.

        Ctrl-C cancels those that have not.

        Raises:
            ConfigError: they cannot be started.
        """
        given = {initial_job_idx + i: list(line) for i, line in enumerate(job_overrides)}
        jobs = dict(zip(given, self._started(given), strict=True))
        waiting, returned = dict(jobs), dict[int, JobReturn]()
        # As many folders as there are jobs, in one.
        logs = os.path.relpath(Path(self.params["submitit_folder"]).parent)
        _say(f"{self._told(list(jobs.values()))}; what they say goes to {logs}")
        try:
            while waiting:
                for number, how in self._ended(waiting).items():
                    ret = self._end(number, given[number], waiting.pop(number), how)
                    returned[number] = ret
                    failed = sum(ret.status != JobStatus.COMPLETED for ret in returned.values())
                    of_these = f", {failed} failed" if failed else ""
                    said = _said(jobs[number], number) or f"{number}  {ret._return_value}"
                    _say(f"[{len(returned)} of {len(jobs)} ended{of_these}] {said}")
                time.sleep(max(_PAUSE, len(waiting) / 100) if waiting else 0)
        except KeyboardInterrupt:
            _say(f"cancelling the {len(waiting)} jobs that have not ended, and waiting for them")
            self._cancel(list(waiting.values()))
            until = time.monotonic() + _STOPPING
            while waiting and time.monotonic() < until:
                for number in self._ended(waiting):
                    del waiting[number]
                time.sleep(_PAUSE)
            raise
        return [returned[number] for number in given]

    def _started(self, given: Mapping[int, list[str]]) -> list[Any]:
        import submitit

        own = {"submitit_folder", "max_num_timeout"}
        common = {field.name for field in dataclasses.fields(BaseQueueConf)}
        params = {
            key if key in common else f"{self._EXECUTOR}_{key}": value
            for key, value in self.params.items()
            if key not in own
        }
        of_executor = {
            f"{self._EXECUTOR}_{key}": self.params[key]
            for key in own & {"max_num_timeout"} & set(self.params)
        }
        Path(self.params["submitit_folder"]).parent.mkdir(parents=True, exist_ok=True)
        executor = submitit.AutoExecutor(
            self.params["submitit_folder"], cluster=self._EXECUTOR, **of_executor
        )
        executor.update_parameters(**params)
        state = Singleton.get_state()
        calls = [
            (overrides, "hydra.sweep.dir", number, f"job_id_for_{number}", state)
            for number, overrides in given.items()
        ]
        try:
            # What sbatch says is part of the error, and printed by submitit as well.
            with redirect_stderr(StringIO()):
                return list(executor.map_array(self, *zip(*calls, strict=True)))
        except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as e:
            raise ConfigError(f"hydra/launcher: the jobs were refused: {_last(str(e))}") from e

    def _end(self, number: int, overrides: list[str], job: Any, how: _End) -> JobReturn:
        """Return what the job returned; of one that could not, its run says why from now on."""
        error: BaseException
        if _has_result(job):
            status = "FAILED"
            try:
                [ret] = job.results()
            except Exception as raised:
                # The worker's own words: what it loads or what it gives back is broken.
                error, reason = raised, _last(job.exception() or raised)
            else:
                if ret.status == JobStatus.COMPLETED:
                    return ret
                # It has said so, if it had come to the point of opening its run.
                error, reason = ret._return_value, one_line(ret._return_value)
        else:
            log = job.paths.stdout if self.params["stderr_to_stdout"] else job.paths.stderr
            line = _last(log.read_text("utf-8", errors="replace")) if log.exists() else ""
            reason = f"{how.words}; its log says: {line}" if line else how.words
            # Python's own last words are those of a failure.
            of_python = re.match(r"[\w.]+(Error|Exception)\b", line)
            status = "KILLED" if how.killed and not of_python else "FAILED"
            error = RuntimeError(reason)
        for callback in self.hydra_context.callbacks.callbacks:
            if isinstance(callback, SweepCallback):
                callback.on_death(number, overrides, status, reason)
        return JobReturn(overrides, status=JobStatus.FAILED, _return_value=error)


class LocalLauncher(_Waiting, submitit_launcher.LocalLauncher):  # type: ignore[misc]
    """All jobs at once on this machine."""

    def _told(self, jobs: Sequence[Any]) -> str:
        return f"{len(jobs)} jobs started"

    def _ended(self, jobs: Mapping[int, Any]) -> dict[int, _End]:
        return {number: _End("its process ended") for number, job in jobs.items() if job.done()}

    def _started(self, given: Mapping[int, list[str]]) -> list[Any]:
        # Ctrl-C reaches every process of a terminal; of these, the one that waits tells the others.
        own = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return super()._started(given)
        finally:
            signal.signal(signal.SIGINT, own)

    def _cancel(self, jobs: Sequence[Any]) -> None:
        for job in jobs:
            with suppress(ProcessLookupError):
                # The number of a job here is that of the process which watches it and passes it on.
                os.kill(int(job.job_id), signal.SIGTERM)


class SlurmLauncher(_Waiting, submitit_launcher.SlurmLauncher):  # type: ignore[misc]
    """One array of jobs on a Slurm cluster."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self._began = time.monotonic()
        self._asked = self._began
        # When a job was first found to be over, and how it ended.
        self._over: dict[int, tuple[float, _End]] = {}

    def _told(self, jobs: Sequence[Any]) -> str:
        return f"{len(jobs)} jobs handed to Slurm as {_array(jobs)}"

    def _ended(self, jobs: Mapping[int, Any]) -> dict[int, _End]:
        now = time.monotonic()
        least, most = _ASKING
        if now - self._asked > min(most, max(least, (now - self._began) / 20)):
            self._asked = now
            known = _over([str(job.job_id) for job in jobs.values()])
            for number, job in jobs.items():
                if job.job_id in known:
                    self._over.setdefault(number, (now, known[job.job_id]))
                else:
                    # Slurm may put a job back into the queue.
                    self._over.pop(number, None)
        ended = {}
        for number, job in jobs.items():
            since, how = self._over.get(number, (now, _End("")))
            # The result of a job may still be on its way when Slurm says that it is over.
            if _has_result(job) or now - since > _LAG:
                ended[number] = how
        return ended

    def _cancel(self, jobs: Sequence[Any]) -> None:
        subprocess.run(["scancel", _array(jobs)], check=False)


def _said(job: Any, number: int) -> str:
    """Return what a job said of itself, which went to its log; "" where it came to nothing."""
    for log in map(Path, (job.paths.stdout, job.paths.stderr)):
        lines = log.read_text("utf-8", errors="replace").splitlines() if log.exists() else []
        for line in reversed(lines):
            if line.startswith(f"{number}  "):
                return line
    return ""


def _array(jobs: Sequence[Any]) -> str:
    """Return the number that an array of jobs has in Slurm."""
    return str(jobs[0].job_id).partition("_")[0]


def _over(jobs: Sequence[str]) -> dict[str, _End]:
    """Ask Slurm which of an array's jobs will not run any more, and how they ended.

    `sacct`, which submitit asks, answers only where the cluster keeps accounts.
    """
    array = jobs[0].partition("_")[0]
    fields = "JobArrayID:64,State:32,exit_code:32"
    options = ("--noheader", "--array", "--states=all", f"--Format={fields}", f"--jobs={array}")
    asked = subprocess.run(["squeue", *options], capture_output=True, text=True, check=False)
    if asked.returncode and "Invalid job id" not in asked.stderr:
        # It does not answer now, and will be asked again.
        return {}
    # Slurm forgets a job some minutes after its end.
    over = dict.fromkeys(jobs, _End("Slurm knows it no more"))
    for job, state, waited in (line.split() for line in asked.stdout.splitlines() if line.strip()):
        over.pop(job, None)
        if state in _OVER:
            code = os.waitstatus_to_exitcode(int(waited))
            with_code = f", exit code {code}" if code > 0 else ""
            killed = state != "FAILED" or not 0 < code < 128
            over[job] = _End(f"Slurm: {state.lower().replace('_', ' ')}{with_code}", killed)
    return over


def _has_result(job: Any) -> bool:
    # A file system of several machines shows a new file when its folder is listed anew.
    file = Path(job.paths.result_pickle)
    return file.parent.is_dir() and file in file.parent.iterdir()


def _ended_from_outside(signum: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt(signal.Signals(signum).name)


def _last(text: object) -> str:
    """Return the last line that tells of an error; where there is none, the last."""
    lines = [line.strip() for line in str(text).splitlines() if line.strip("- ")]
    telling = [line for line in lines if re.search(r"error|exception", line, re.IGNORECASE)]
    return [*lines, *telling][-1] if lines else ""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
