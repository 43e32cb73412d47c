"""An MLflow server: sweeps that are logged to one, and what becomes of them when it dies."""

import json
import multiprocessing
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

from interp.cli import session, sweep_comparison
from interp.cli.hydra.callback import close
from interp.core.errors import ConfigError
from interp.results.notebook import html
from interp.results.result import Result
from interp.tracking import (
    EndedSweep,
    Run,
    Store,
    StoreUnavailableError,
    Sweep,
    keep_sweep_end,
    now,
    outbox,
    record_dead_job,
    recorded_run,
    send_waiting,
)
from interp.tracking.messages import RunStart
from tests.servers import free_port, postgres, served

ROOT = Path(__file__).parents[2]
SMALL = ("model=tiny", "model.device=cpu", "prompts.count=6", "analysis.permutations=19")
FOUR = ("-m", *SMALL, "metric=cosine,linear_cka", "position=mean,last")
TWO = (*FOUR[:-1], "hook.layers=1")
# Asks something else, and so is computed whatever is known.
ANY = (*SMALL, "metric=rsa", "hook.layers=0", "tracking.experiment=other")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server on a database file, for what does not depend on the kind of database."""
    folder = tmp_path_factory.mktemp("server")
    with served(folder, f"sqlite:///{folder / 'server.db'}") as server:
        yield server


@pytest.fixture(scope="module")
def database():
    with postgres() as database:
        yield database


@pytest.fixture(scope="module")
def on_postgres(tmp_path_factory, database):
    with served(tmp_path_factory.mktemp("on_postgres"), database.uri) as server:
        yield server


class Wire:
    """A server's address that can be cut and mended at once."""

    def __init__(self, port):
        self.to, self.port, self.is_cut = port, free_port(), True
        self.uri = f"http://127.0.0.1:{self.port}"
        self.ends = []

    def mend(self):
        self.is_cut = False
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=[self.listener], daemon=True).start()

    def cut(self):
        self.is_cut = True
        for end in (self.listener, *self.ends):
            # A thread that waits in it is told.
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
            finally:
                end.close()
        self.ends.clear()

    def _accept(self, listener):
        while True:
            try:
                near = listener.accept()[0]
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.to))
            self.ends += [near, far]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return


@pytest.fixture
def wire(server):
    wire = Wire(server.port)
    wire.mend()
    yield wire
    if not wire.is_cut:
        wire.cut()


@pytest.fixture
def interp(monkeypatch, tmp_path, command_line):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    # What an argument says comes later and wins.
    return lambda uri, experiment, *arguments: command_line(
        f"tracking.uri={uri}", f"tracking.experiment={experiment}", *arguments
    )


def files_of(client, run_id, folder=""):
    """Paths and contents of a run's artifacts; of an image without what is drawn by lot."""
    for item in client.list_artifacts(run_id, folder):
        if item.is_dir:
            yield from files_of(client, run_id, item.path)
        else:
            yield re.sub(r"\+\d{13}\+[0-9a-f-]+", "", item.path)


def held(server, experiment):
    """All that a server holds of an experiment, by the name of the run: no times and no ids."""
    client = MlflowClient(server.uri)
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    names = {run.info.run_id: run.info.run_name for run in found}
    assert len(set(names.values())) == len(names)
    places = ("outputs", "tracking.uri", "tracking.experiment")
    return {
        run.info.run_name: {
            "status": run.info.status,
            "params": {k: v for k, v in run.data.params.items() if k not in places},
            "tags": {
                key: names[value] if key == "mlflow.parentRunId" else value
                for key, value in run.data.tags.items()
                if key not in ("record", "reused", "compared")
            },
            "metrics": {
                key: sorted(
                    (metric.step, metric.value)
                    for metric in client.get_metric_history(run.info.run_id, key)
                )
                for key in run.data.metrics
            },
            "datasets": [
                (given.dataset.to_dictionary(), [tag.value for tag in given.tags])
                for given in run.inputs.dataset_inputs
            ],
            "artifacts": sorted(files_of(client, run.info.run_id)),
        }
        for run in found
    }


def spans(server, experiment):
    """When the runs of an experiment began and ended, in seconds of the epoch."""
    client = MlflowClient(server.uri)
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return [(run.info.start_time / 1000, run.info.end_time / 1000) for run in found]


def left(outputs):
    """What waits in an outputs folder."""
    return [path for path in outputs.glob(".unsent/*") if path.is_dir()]


def send(uri, outputs):
    """Do what the command line does besides the run that was asked for."""
    send_waiting(Store.of(str(outputs), uri, 5000))
    close(completed=True)


@pytest.fixture(scope="module")
def undisturbed(server, tmp_path_factory):
    """What the server holds of a sweep during which nothing happened, in processes of its own."""
    outputs = tmp_path_factory.mktemp("undisturbed")
    own = (f"tracking.uri={server.uri}", "tracking.experiment=undisturbed", f"outputs={outputs}")
    command = [sys.executable, "-m", "interp", *own, *TWO, "hydra/launcher=joblib"]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    assert not (outputs / ".unsent").exists()
    kept = held(server, "undisturbed")
    assert len(kept) == 3
    assert {run["status"] for run in kept.values()} == {"FINISHED"}
    return kept


def cut_at(monkeypatch, wire, call, nth, *, after=False):
    """Cut the wire as MLflow's client is called the n-th time from now, before it or after."""
    own, count = getattr(MlflowClient, call), iter(range(1, 1000))

    def called(self, *arguments, **options):
        is_it = next(count) == nth
        if is_it and not after:
            wire.cut()
        answer = own(self, *arguments, **options)
        if is_it and after:
            wire.cut()
            # What the server said is lost with it.
            return own(self, *arguments, **options)
        return answer

    monkeypatch.setattr(MlflowClient, call, called)


def test_a_sweep_is_logged_to_a_server_on_postgresql(on_postgres, interp, tmp_path):
    status, out, err = interp(on_postgres.uri, "four", *FOUR)
    assert (status, err) == (0, "")
    assert "4 of 4 jobs finished" in out
    assert f"page     {on_postgres.uri}/#/experiments/" in out
    assert "interp ui" not in out
    kept = held(on_postgres, "four")
    assert {run["status"] for run in kept.values()} == {"FINISHED"}
    parent = kept.pop("sweep metric=cosine,linear_cka position=mean,last")
    assert set(parent["artifacts"]) == {
        *(
            f"figures/{name}.{e}"
            for name in ("calibrated_scores", "curves")
            for e in ("png", "svg")
        ),
        *("finding.md", "tables/differences.csv", "tables/peaks.csv"),
    }
    client = MlflowClient(on_postgres.uri)
    assert len(kept) == 4
    for metric in ("cosine", "linear_cka"):
        for position in ("mean", "last"):
            run = kept[f"{metric} · {position}"]
            assert run["params"]["metric.name"] == metric
            assert run["params"]["position.name"] == position
            assert [step for step, _ in run["metrics"]["layer/value_score"]] == [0, 1, 2, 3]
            ((dataset, context),) = run["datasets"]
            assert (dataset["name"], context) == ("digits / words", ["prompts"])
            images = [path for path in run["artifacts"] if path.startswith("images/")]
            assert {path.split("+")[2] for path in images} == {"0", "1", "2", "3"}
    (run,) = client.search_runs(
        [client.get_experiment_by_name("four").experiment_id], "tags.job = '0'"
    )
    there = Path(client.download_artifacts(run.info.run_id, "", str(tmp_path)))
    recorded = json.loads((there / "result.json").read_text())["tested"]["metrics"]
    assert list(recorded["layer/value_score"]) == ["0", "1", "2", "3"]
    assert (there / "figures" / "similarity.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "outputs" / ".unsent").exists()

    before = spans(on_postgres, "four")
    status, out, _ = interp(on_postgres.uri, "four", *FOUR)
    assert status == 0
    assert out.count("(known already)") == 4
    assert len(spans(on_postgres, "four")) == len(before)
    # A run alone takes it from the server, and shows figures that are there.
    status, out, _ = interp(on_postgres.uri, "four", *SMALL, "metric=cosine")
    assert status == 0
    assert "An equal run found this on" in out
    assert list((tmp_path / re.search(r"^figures +(\S+)$", out, re.M)[1]).glob("*.png"))
    # A sweep of others takes it over with all that belongs to it.
    status, out, _ = interp(on_postgres.uri, "four", "-m", *SMALL, "metric=cosine,rsa")
    assert out.count("(known already)") == 1
    kept = held(on_postgres, "four")
    assert set(kept["cosine"]["artifacts"]) == set(kept["cosine · mean"]["artifacts"])
    assert kept["cosine"]["metrics"] == kept["cosine · mean"]["metrics"]


def _log_together(uri, outputs, number, prompts, barrier):
    store = Store.of(str(outputs / str(number)), uri, 5000)
    store.client.search_experiments(max_results=1)
    barrier.wait()
    with recorded_run(store, "together", f"run {number}", outputs / "runs" / str(number)) as record:
        barrier.wait()
        record.log_setup({}, prompts)


def test_machines_that_are_the_first_at_once_do_not_collide(on_postgres, tmp_path, prompts):
    # Each with an outputs folder of its own, so that no lock of this machine keeps them apart.
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    processes = [
        context.Process(target=_log_together, args=[on_postgres.uri, tmp_path, i, prompts, barrier])
        for i in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    kept = held(on_postgres, "together")
    assert sorted(kept) == [f"run {i}" for i in range(4)]
    assert {run["status"] for run in kept.values()} == {"FINISHED"}
    assert len({json.dumps(run["datasets"]) for run in kept.values()}) == 1
    assert not list(tmp_path.glob("*/.unsent"))


# The calls of the second of two jobs, which is the n-th of its kind, and of the sweep's end.
MOMENTS = {
    "as an earlier run is looked for": ("search_runs", 3, False),
    "as the run is created": ("create_run", 3, False),
    "before it says that it has created the run": ("create_run", 3, True),
    "as the prompts are logged": ("log_inputs", 2, False),
    "as images are logged": ("log_artifacts", 3, False),
    "as the numbers are logged": ("log_batch", 4, False),
    "as the run ends": ("set_terminated", 2, False),
    "as the sweep ends": ("set_terminated", 3, False),
    "as its figures are logged": ("log_artifacts", 5, False),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_nothing_is_lost_when_the_server_dies(
    moment, server, wire, interp, monkeypatch, tmp_path, undisturbed
):
    with monkeypatch.context() as patch:
        cut_at(patch, wire, *MOMENTS[moment][:2], after=MOMENTS[moment][2])
        status, out, err = interp(wire.uri, moment, *TWO)
    assert status == 0, out + err
    assert wire.is_cut
    (told,) = err.strip().splitlines()
    assert told.startswith(f"tracking: {wire.uri} does not answer: results wait in ")
    of_sweep = moment in ("as the sweep ends", "as its figures are logged")
    what = "the sweep's end waits" if of_sweep else "1 result waits"
    assert out.strip().endswith(f"{what} in outputs/.unsent and is sent on the next start")
    assert len(re.findall(r"^\d  (cosine|linear_cka): digits and words", out, re.M)) == 2
    assert list(tmp_path.glob("outputs/sweeps/*/*/1/result.json"))

    wire.mend()
    mended = time.time()
    send(wire.uri, tmp_path / "outputs")
    assert left(tmp_path / "outputs") == []
    assert held(server, moment) == undisturbed
    for begin, end in spans(server, moment):
        assert begin <= end <= mended


def test_any_run_sends_what_waits_and_the_sweep_finds_its_jobs_done(
    server, wire, interp, interrupted, tmp_path, undisturbed
):
    interrupted("any")
    status, out, err = interp(wire.uri, "any", *ANY)
    assert (status, err) == (0, f"tracking: sent 1 result that had waited to {wire.uri}\n")
    assert left(tmp_path / "outputs") == []
    assert held(server, "any") == undisturbed
    status, out, err = interp(wire.uri, "any", *TWO)
    assert (status, err) == (0, "")
    assert out.count("(known already)") == 2
    assert "figures/calibrated_scores.png" in out
    assert held(server, "any") == undisturbed


def test_a_result_that_is_gone_is_computed_again(server, wire, interp, monkeypatch, tmp_path):
    given = (*SMALL, "hook.layers=1", "metric=cosine")
    assert interp(wire.uri, "fetched", *given)[0] == 0
    with monkeypatch.context() as patch:
        cut_at(patch, wire, "download_artifacts", 1)
        status, out, err = interp(wire.uri, "fetched", *given)
    assert status == 0
    assert "An equal run" not in out
    assert re.search(r"^waits    outputs/\.unsent: the next start sends it$", out, re.M)
    assert "page" not in out
    assert "does not answer" in err
    wire.mend()
    send(wire.uri, tmp_path / "outputs")
    assert len(spans(server, "fetched")) == 2


def test_a_dead_server_costs_the_jobs_that_follow_nothing(wire, interp, monkeypatch, tmp_path):
    asked = []

    def check_reachable(self):
        asked.append(self)
        return own(self)

    own = Store.check_reachable
    with monkeypatch.context() as patch:
        cut_at(patch, wire, "log_inputs", 1)
        patch.setattr(Store, "check_reachable", check_reachable)
        status, out, _ = interp(wire.uri, "many", *FOUR, "hook.layers=1")
    assert status == 0
    assert "4 results wait in outputs/.unsent and are sent on the next start" in out
    # The sweep's beginning, and a look whether it is back as the sweep ends.
    assert len(asked) == 3
    assert len(left(tmp_path / "outputs")) == 5


def test_a_job_that_fails_without_its_server_fails_there_later(
    server, wire, interp, monkeypatch, tmp_path
):
    with monkeypatch.context() as patch:
        cut_at(patch, wire, "log_inputs", 1)
        status, out, err = interp(wire.uri, "failing", "-m", *SMALL, "position=mean,target")
    assert status == 1
    assert "1: FAILED: interp.core.errors.ConfigError: position: no target is marked" in err
    assert "2 results wait in outputs/.unsent" in out
    wire.mend()
    send(wire.uri, tmp_path / "outputs")
    kept = held(server, "failing")
    assert {name: run["status"] for name, run in kept.items()} == {
        "mean": "FINISHED",
        "target": "FAILED",
        "sweep position=mean,target": "FAILED",
    }
    assert kept["target"]["tags"]["error"].startswith("position: no target is marked")
    assert "traceback.txt" in kept["target"]["artifacts"]


def test_without_a_server_at_the_start_nothing_is_computed(interp, wire, tmp_path):
    wire.cut()
    for arguments in (SMALL, TWO):
        status, out, err = interp(wire.uri, "never", *arguments)
        assert (status, out) == (1, "")
        (line,) = err.strip().splitlines()
        assert f"tracking.uri: no server answers at {wire.uri}" in line
    assert not list(tmp_path.glob("outputs/**/result.json"))
    assert left(tmp_path / "outputs") == []


@pytest.fixture
def interrupted(wire, interp, monkeypatch):
    """Run the two jobs on a server that dies before it says that it created the second."""

    def run(experiment):
        with monkeypatch.context() as patch:
            cut_at(patch, wire, "create_run", 3, after=True)
            assert interp(wire.uri, experiment, *TWO)[0] == 0
        wire.mend()

    return run


SENDING = {
    "create_run": ("create_run", 1),
    "log_artifacts": ("log_artifacts", 1),
    "log_batch": ("log_batch", 1),
    "set_terminated": ("set_terminated", 1),
    "the next": ("create_run", 2),
    "the parent": ("set_terminated", 3),
}


def test_an_interrupted_sending_is_resumed(
    server, wire, interp, monkeypatch, tmp_path, undisturbed
):
    def killed(path):
        raise KeyboardInterrupt

    outputs = tmp_path / "outputs"
    with monkeypatch.context() as patch:
        cut_at(patch, wire, "create_run", 2)
        assert interp(wire.uri, "cut", *TWO)[0] == 0
    assert len(left(outputs)) == 3
    kept = shutil.copytree(outputs / ".unsent", tmp_path / "kept")
    wire.mend()
    for name, moment in SENDING.items():
        with monkeypatch.context() as patch:
            cut_at(patch, wire, *moment, after=True)
            with pytest.raises(StoreUnavailableError, match="stopped answering"):
                send(wire.uri, outputs)
        wire.mend()
        with monkeypatch.context() as patch:
            # And killed when a run is sent and its folder is about to go.
            patch.setattr(shutil, "rmtree", killed)
            with pytest.raises(KeyboardInterrupt):
                send(wire.uri, outputs)
        send(wire.uri, outputs)
        assert left(outputs) == [], name
        assert held(server, "cut") == undisturbed, name
        # Once more, as if nothing had been sent, to a server that knows nothing.
        client = MlflowClient(server.uri)
        experiment = client.get_experiment_by_name("cut").experiment_id
        for run in client.search_runs([experiment], "tags.job != ''"):
            client.delete_run(run.info.run_id)
        shutil.rmtree(outputs / ".unsent")
        shutil.copytree(kept, outputs / ".unsent")


def _send_together(uri, outputs, barrier):
    barrier.wait()
    send_waiting(Store.of(str(outputs), uri, 5000))


def test_two_processes_at_once_send_a_run_once(server, wire, interrupted, tmp_path, undisturbed):
    interrupted("twice")
    context = multiprocessing.get_context("fork")
    given = [wire.uri, tmp_path / "outputs", context.Barrier(2)]
    processes = [context.Process(target=_send_together, args=given) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    assert left(tmp_path / "outputs") == []
    kept = held(server, "twice")
    (parent,) = (name for name in kept if name.startswith("sweep"))
    # Who shows the jobs together is the command line.
    tags = {k: v for k, v in undisturbed[parent]["tags"].items() if k != "mlflow.note.content"}
    assert kept == undisturbed | {parent: undisturbed[parent] | {"artifacts": [], "tags": tags}}


def test_a_running_run_is_not_sent_and_a_killed_one_is(server, wire, tmp_path):
    store = Store.of(str(tmp_path), wire.uri, 5000)
    context = multiprocessing.get_context("fork")
    begun, is_cut, waits = context.Event(), context.Event(), context.Event()

    def work():
        with recorded_run(store, "dying", "one", tmp_path / "run") as record:
            begun.set()
            is_cut.wait()
            record.log_step(3, {"epoch/loss": 0.5})
            waits.set()
            time.sleep(600)

    with recorded_run(store, "dying", "first", tmp_path / "first"):
        pass
    process = context.Process(target=work)
    process.start()
    assert begun.wait(60)
    wire.cut()
    is_cut.set()
    assert waits.wait(60)
    wire.mend()
    elsewhere = Store.of(str(tmp_path), wire.uri, 5000)
    assert len(left(tmp_path)) == 1
    send_waiting(elsewhere)
    assert len(left(tmp_path)) == 1
    process.kill()
    process.join()
    send_waiting(elsewhere)
    assert left(tmp_path) == []
    kept = held(server, "dying")
    assert (kept["one"]["status"], kept["first"]["status"]) == ("KILLED", "FINISHED")
    assert kept["one"]["metrics"] == {"epoch/loss": [(3, 0.5)]}
    assert "the run's process ended" in kept["one"]["tags"]["error"]


def test_a_refused_run_stays_on_disk_and_the_others_are_sent(wire, interrupted, capsys, tmp_path):
    interrupted("refused")
    (waits,) = tmp_path.glob("outputs/.unsent/*/run.json")
    about = json.loads(waits.read_text())
    for wrong in ({"parent": "0" * 32}, {"uri": "http://127.0.0.1:1"}):
        waits.write_text(json.dumps({**about, **wrong}))
        capsys.readouterr()
        send(wire.uri, tmp_path / "outputs")
        # Another store's is nobody else's business.
        said = "" if "uri" in wrong else f"tracking: {waits.parent} cannot be sent to {wire.uri}: "
        assert capsys.readouterr().err.startswith(said)
        assert waits.exists()
    waits.write_text(json.dumps(about))
    send(wire.uri, tmp_path / "outputs")
    assert left(tmp_path / "outputs") == []


@pytest.mark.parametrize("dies", ["server", "database"])
def test_a_server_on_postgresql_may_be_killed(
    dies, on_postgres, database, interp, monkeypatch, tmp_path, undisturbed
):
    experiment, own, count = f"killed {dies}", MlflowClient.log_inputs, iter(range(10))

    def killing(self, *arguments, **options):
        if next(count) == 1:
            if dies == "server":
                on_postgres.kill()
            else:
                database.stop(signal.SIGQUIT)
        return own(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_inputs", killing)
        status, out, _ = interp(on_postgres.uri, experiment, *TWO)
    assert status == 0
    assert "1 result waits in outputs/.unsent and is sent on the next start" in out
    if dies == "server":
        on_postgres.start()
    else:
        database.start()
    send(on_postgres.uri, tmp_path / "outputs")
    assert left(tmp_path / "outputs") == []
    assert held(on_postgres, experiment) == undisturbed


def locked(*_, **__):
    # As MLflow says it after twenty seconds.
    raise MlflowException("database is locked", error_code=TEMPORARILY_UNAVAILABLE)


def test_a_locked_database_file_loses_nothing(monkeypatch, prompts, tmp_path):
    store = Store.of(str(tmp_path), None, 5000)
    with (
        recorded_run(store, "locked", "one", tmp_path / "run") as record,
        monkeypatch.context() as patch,
    ):
        patch.setattr(MlflowClient, "log_inputs", locked)
        record.log_setup({"seed": 3}, prompts)
    assert len(left(tmp_path)) == 1
    assert store.client.get_run(record.run_id).info.status == "RUNNING"
    send_waiting(store)
    run = store.client.get_run(record.run_id)
    assert (run.info.status, run.data.params) == ("FINISHED", {"seed": "3"})
    assert len(run.inputs.dataset_inputs) == 1
    assert left(tmp_path) == []


def ends_late(store, swept, jobs):
    """A sweep of two of which so many jobs began; its end waits."""
    sweep = Sweep.begin(store, "late", [swept], swept, rerun=False)
    for number in range(jobs):
        tags = {"mlflow.parentRunId": sweep.run_id, "job": str(number)}
        run = store.client.create_run(store.experiment_id("late"), tags=tags, run_name="one")
        store.client.set_terminated(run.info.run_id)
    keep_sweep_end(EndedSweep(sweep, True, now(), ("one", "other")))
    return sweep


def note_of(sweep):
    tags = sweep.store.client.get_run(sweep.run_id).data.tags
    return tags.get("mlflow.note.content", "")


def test_sweeps_that_end_late_are_shown_with_all_their_jobs(monkeypatch, tmp_path, capsys):
    def refuse_first(sweep, *arguments):
        if sweep == first:
            raise MlflowException("it is too long")
        log(sweep, *arguments)

    store, log = Store.of(str(tmp_path), None, 5000), Sweep.log_comparison
    first, empty, good = (ends_late(store, f"seed={n}", n % 2) for n in (1, 2, 3))
    again = ends_late(store, "seed=9", 1)
    send_waiting(store)
    assert left(tmp_path) == []
    monkeypatch.setattr(Sweep, "log_comparison", refuse_first)
    sweep_comparison.show_late(except_run=again.run_id)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tracking: the comparison of sweep {first.run_id} cannot be logged to ")
    assert line.endswith("it is too long")
    assert "1 of 2 finished, 1 not begun." in note_of(good)
    assert "- other" in note_of(good)
    # A sweep that never came to a job is removed, and one was shown by whoever started it again.
    assert store.client.get_run(empty.run_id).info.lifecycle_stage == "deleted"
    assert note_of(again) == ""


def test_a_run_from_python_shows_a_sweep_that_ended_late(tmp_path):
    sweep = ends_late(Store.of(str(tmp_path), None, 5000), "seed=1", 1)
    config = session.compose(*SMALL, "metric=rsa", "hook.layers=0", f"outputs={tmp_path}")
    session.run(config)
    assert "- other" in note_of(sweep)


def test_a_dead_job_is_recorded_once_the_store_answers(monkeypatch, tmp_path):
    store = Store.of(str(tmp_path), None, 5000)
    sweep = Sweep.begin(store, "deaths", ["seed=0,1,2"], "deaths", rerun=False)
    since = now()
    for number, said in (
        (1, '{"status": "FINISHED", "ended": 9, "metrics": []}\n'),
        (2, '{"tags": {"error": "broken o'),
    ):
        # Its process is gone, which had lost the store, too.
        opening = RunStart("", sweep.run_id, f"seed={number}", {"job": str(number)}, now())
        opening.tags["mlflow.parentRunId"] = sweep.run_id
        outbox.begin(Run(store, "", ""), opening)
        folder, lock = outbox._OPEN.pop(opening.key)
        lock.release()
        (folder / "parts.jsonl").write_text(said)
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "search_runs", locked)
        for number in range(3):
            record_dead_job(sweep, number, f"seed={number}", "KILLED", "out of memory", since)
    assert len(left(tmp_path)) == 3
    send_waiting(store)
    assert left(tmp_path) == []
    assert [(job.name, job.status, job.error) for job in sweep.children()] == [
        ("seed=0", "KILLED", "out of memory"),
        # It had told all when its process died.
        ("seed=1", "FINISHED", ""),
        ("seed=2", "KILLED", "out of memory"),
    ]


def test_a_process_that_waits_for_another_prints_why(monkeypatch, tmp_path, capsys):
    store = Store.of(str(tmp_path), None, 5000)
    ends_late(store, "seed=1", 1)
    monkeypatch.setattr(outbox, "_PATIENCE_S", 0.01)
    with outbox._sending_lock(store):
        other = threading.Thread(target=send_waiting, args=[store])
        other.start()
        said = ""
        while other.is_alive() and not said:
            said = capsys.readouterr().err
    other.join()
    assert said == f"tracking: waiting for another process that sends to {store.uri}\n"
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    "uri", ["http://localhost:50OO", "http://localhost:99999", "httpx://localhost", "http://"]
)
def test_an_address_that_is_not_a_servers_is_refused_in_one_line(uri, tmp_path):
    with pytest.raises(ConfigError, match="expected one such as http://localhost:5000") as error:
        send_waiting(Store.of(str(tmp_path), uri, 5000))
    assert not isinstance(error.value, StoreUnavailableError)
    assert str(error.value).startswith(f"tracking.uri: {uri!r} ")


def test_a_notebook_reports_that_a_run_without_a_page_waits(tmp_path):
    shown = html("one", Result(), tmp_path, "")
    assert f"{tmp_path} · waits to be sent to MLflow" in shown
