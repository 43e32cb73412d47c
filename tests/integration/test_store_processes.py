"""Many processes at one store: who computes, who waits, and what is left when one is killed."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from threading import Timer

import numpy as np
import pytest

from interp.cache import ActivationStore, Missing

ROOT = Path(__file__).parents[2]
KEY = "ab" * 32

# What every process here begins with: the store in the folder given, and data that depend on the
# key, layer and chunk alone.
BEGIN = """
import os, signal, sys, time, traceback
import numpy as np
from pathlib import Path
from interp.core.errors import StorageError
from interp.cache import ActivationStore, Missing

KEY = "ab" * 32
FOLDER = Path(sys.argv[1])
store = ActivationStore(FOLDER / "activations", 10**9)

def values(key, layers, chunk, samples=200):
    return {
        layer: np.random.default_rng([int(key[:8], 16), layer, chunk]).standard_normal(
            (samples, 16), dtype=np.float32
        )
        for layer in layers
    }

def forked(work, number):
    child = os.fork()
    if child == 0:
        try:
            work(number)
        except BaseException:
            traceback.print_exc()
        os._exit(0)
    return child
"""


def values(key, layers, chunk, samples=200):
    seeds = {layer: [int(key[:8], 16), layer, chunk] for layer in layers}
    return {
        layer: np.random.default_rng(seed).standard_normal((samples, 16), dtype=np.float32)
        for layer, seed in seeds.items()
    }


def started(code, *arguments, before=()):
    command = [*before, sys.executable, "-c", BEGIN + code, *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )


def finished(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out, err


@pytest.fixture
def store(tmp_path):
    return ActivationStore(tmp_path / "activations", 10**9)


def assert_sound(store, *, layers, n_chunks, key=KEY):
    """All is what was written, nothing is left over, and the data are right."""
    assert all(checked.state == "sound" for checked in store.verify())
    assert not list((store.folder / "temporary").glob("*"))
    assert not list((store.folder / "damaged").glob("*"))
    found = store.entry(key).read(layers, n_chunks)
    for chunk in range(n_chunks):
        for layer, array in values(key, layers, chunk).items():
            np.testing.assert_array_equal(found[layer][chunk], array)


def test_of_eight_processes_with_one_question_one_computes(store, tmp_path):
    code = """
def work(number):
    (FOLDER / f"ready-{number}").touch()
    while len(list(FOLDER.glob("ready-*"))) < 8:
        time.sleep(0.005)
    entry = store.entry(KEY)
    if entry.missing(range(3), 2):
        with store.computing(KEY, "reading gpt2"):
            for chunk, layers in entry.missing(range(3), 2).items():
                with (FOLDER / "computed").open("a") as log:
                    log.write(f"{number} {chunk}\\n")
                time.sleep(0.05)
                entry.write(chunk, values(KEY, layers, chunk), {})
    found = entry.read(range(3), 2)
    for chunk in range(2):
        for layer, array in values(KEY, range(3), chunk).items():
            np.testing.assert_array_equal(found[layer][chunk], array)
    # One call, so that the lines of several processes stay apart.
    os.write(1, b"read\\n")

for child in [forked(work, number) for number in range(8)]:
    os.waitpid(child, 0)
"""
    out, err = finished(started(code, tmp_path))
    assert (out, "Traceback" in err) == ("read\n" * 8, False)
    computed = [line.split() for line in (tmp_path / "computed").read_text().splitlines()]
    assert len({process for process, _ in computed}) == 1
    assert [chunk for _, chunk in computed] == ["0", "1"]
    assert_sound(store, layers=range(3), n_chunks=2)


def test_processes_that_add_different_layers_all_end_in_the_entry(store, tmp_path):
    code = """
def work(first):
    for chunk in range(4):
        for layer in (first, first + 1, 20):
            store.entry(KEY).write(chunk, values(KEY, [layer], chunk), {"process": first})

for child in [forked(work, first) for first in (0, 2, 4, 6)]:
    os.waitpid(child, 0)
"""
    assert finished(started(code, tmp_path)) == ("", "")
    assert_sound(store, layers=[*range(8), 20], n_chunks=4)
    assert len(store.entries()[0].made) == 4


KILLED = """
wrote, writes = os.pipe()

def work(attempt):
    rng = np.random.default_rng(attempt)
    while True:
        key = f"{rng.integers(3)}f" * 32
        chunk, layers = int(rng.integers(8)), [int(rng.integers(6)), 6 + int(rng.integers(6))]
        store.entry(key).write(chunk, values(key, layers, chunk), {"attempt": attempt})
        store.put_record(key, {"key": np.array(key)})
        os.write(writes, b".")

for attempt in range(20):
    child = forked(work, attempt)
    if attempt % 2:
        os.read(wrote, 1)
    time.sleep(np.random.default_rng(100 + attempt).uniform(0, 0.04))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for checked in store.verify():
        if checked.state != "sound":
            print(checked)
"""


def test_writers_killed_at_any_moment_leave_a_sound_store(store, tmp_path):
    assert finished(started(KILLED, tmp_path)) == ("", "")
    for path in (store.folder / "temporary").glob("*"):
        os.utime(path, (0, 0))
    store.prune(10**9)
    entries = store.entries()
    assert entries
    for key in (entry.key for entry in entries):
        store.put_record(key, {"key": np.array(key)})
        assert store.get_record(key)["key"] == key
        for chunk, layers in store.entry(key).missing(range(12), 8).items():
            store.entry(key).write(chunk, values(key, layers, chunk), {})
        assert_sound(store, layers=range(12), n_chunks=8, key=key)


HOLDS = """
with store.computing(KEY, "reading gpt2"):
    print("held", flush=True)
    while not (FOLDER / "enough").exists():
        time.sleep(0.01)
"""


def test_a_waiter_says_once_what_it_waits_for(store, tmp_path, capsys):
    holder = started(HOLDS, tmp_path)
    assert holder.stdout.readline() == "held\n"
    Timer(1.5, (tmp_path / "enough").touch).start()
    with store.computing(KEY, "reading gpt2"):
        pass
    finished(holder)
    assert re.fullmatch(
        rf"waiting for process {holder.pid} on {re.escape(socket.gethostname())}, "
        r"which is reading gpt2 \(since \d\d:\d\d:\d\d\)\n",
        capsys.readouterr().err,
    )
    with store.computing(KEY, "reading gpt2"):
        pass
    with store.computing("cd" * 32, "reading bert"):
        pass
    assert capsys.readouterr().err == ""


def test_the_lock_of_a_dead_process_is_taken_over(store, tmp_path, capsys):
    holder = started(HOLDS, tmp_path)
    assert holder.stdout.readline() == "held\n"
    waiter = started(HOLDS, tmp_path)
    time.sleep(0.3)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    (tmp_path / "enough").touch()
    out, err = finished(waiter)
    assert out == "held\n"
    assert err.splitlines()[-1].startswith(f"taking over from process {holder.pid} on ")
    with store.computing(KEY, "reading gpt2"):
        pass
    assert capsys.readouterr().err == ""
    holder.communicate()


def test_an_error_inside_frees_the_lock_and_goes_on(store, capsys):
    with pytest.raises(OSError, match="No space"), store.computing(KEY, "reading gpt2"):
        raise OSError(28, "No space left on device")
    with store.computing(KEY, "reading gpt2"):
        pass
    assert capsys.readouterr().err == ""


def test_who_reads_while_another_evicts_gets_all_or_nothing(store, tmp_path):
    code = """
while not (FOLDER / "enough").exists():
    store.prune(0)
"""
    evictor = started(code, tmp_path)
    entry, chunk = store.entry(KEY), values(KEY, range(4), 0)
    read = missed = 0
    while (read < 5 or missed < 5) and evictor.poll() is None:
        for number, layers in entry.missing(range(4), 1).items():
            entry.write(number, {layer: chunk[layer] for layer in layers}, {})
        for _ in range(3):
            try:
                found = entry.read(range(4), 1)
            except Missing:
                missed += 1
                break
            read += 1
            for layer, (array,) in found.items():
                np.testing.assert_array_equal(array, chunk[layer])
    (tmp_path / "enough").touch()
    assert finished(evictor) == ("", "")
    assert not list((store.folder / "damaged").glob("*"))


def mounts():
    """Whether a process may mount a file system of its own here."""
    if shutil.which("unshare") is None:
        return False
    tried = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs none /mnt"]
    return subprocess.run(tried, capture_output=True).returncode == 0


FULL = """
import subprocess
subprocess.run(["mount", "-t", "tmpfs", "-o", sys.argv[2], "none", FOLDER], check=True)
entry, refused, written = store.entry(KEY), "", 0
entry.write(0, values(KEY, range(4), 0), {})
try:
    while True:
        entry.write(written + 1, values(KEY, range(4), written + 1), {})
        written += 1
except StorageError as error:
    print(error)
print(all(checked.state == "sound" for checked in store.verify()))
print([path for path in (FOLDER / "activations" / "temporary").iterdir()])
found = entry.read(range(4), written + 1)
print(all((found[i][c] == a).all() for c in range(written + 1)
          for i, a in values(KEY, range(4), c).items()))
print(entry.missing(range(4), written + 2) == {written + 1: (0, 1, 2, 3)}, written > 2)
del found
store.prune(0)
entry.write(0, values(KEY, range(4), 0), {})
print((entry.read([3], 1)[3][0] == values(KEY, [3], 0)[3]).all())
subprocess.run(["mount", "-o", "remount,ro", FOLDER], check=True)
print((entry.read([3], 1)[3][0] == values(KEY, [3], 0)[3]).all())
for attempt in (
    lambda: entry.write(9, values(KEY, [0], 9), {}),
    lambda: store.put_record(KEY, {}),
    lambda: store.computing(KEY, "").__enter__(),
    lambda: store.prune(0),
):
    try:
        attempt()
    except StorageError as error:
        print(error)
"""


@pytest.mark.skipif(not mounts(), reason="no process may mount a file system of its own here")
@pytest.mark.parametrize("limit", ["size=1m", "nr_inodes=50"])
def test_a_disk_that_fills_up_and_one_that_cannot_be_written(tmp_path, limit):
    out, err = finished(started(FULL, tmp_path, limit, before=("unshare", "-rm")))
    assert err == ""
    full, *right, last, again, _, _, _, _ = out.splitlines()
    assert re.fullmatch(
        r"activations: the disk of \S+/activations is full \(No space left on device\): \d+ kB "
        r"were needed; make room with `interp store prune to=…`, .* outputs=…",
        full,
    )
    assert right == ["True", "[]", "True", "True True"]
    assert (last, again) == ("True", "True")
    for line in out.splitlines()[-4:]:
        assert line.endswith("activations cannot be used: Read-only file system")
