"""The activation store against NumPy's own reading of its files, and against every kind of harm."""

import errno
import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from interp.cache import ActivationStore, Missing, eviction, files
from interp.cli.main import main
from interp.core.errors import ConfigError, StorageError

ROOT = Path(__file__).parents[3]
KEY, OTHER = "ab" * 32, "cd" * 32
MADE = {"title": "gpt2", "site": "resid_post", "position": "target", "prompts": "him / her"}


@pytest.fixture
def store(tmp_path):
    return ActivationStore(tmp_path / "activations", 10**9)


def values(layers, samples=5, unit=(7,), seed=0):
    rng = np.random.default_rng(seed)
    return {layer: rng.standard_normal((samples, *unit), dtype=np.float32) for layer in layers}


def assert_read(entry, chunks):
    """The entry gives back each layer of each chunk, bit by bit."""
    layers = list(chunks[0])
    found = entry.read(layers, len(chunks))
    assert list(found) == layers
    for layer in layers:
        assert len(found[layer]) == len(chunks)
        for array, chunk in zip(found[layer], chunks, strict=True):
            assert (array.dtype, array.shape) == (np.float32, chunk[layer].shape)
            assert array.tobytes() == chunk[layer].tobytes()


def of_size(store, key, n_bytes, last=None):
    """Write an entry of so many bytes, last used at a time in seconds of the epoch."""
    entry = store.entry(key)
    entry.write(0, {0: np.zeros(n_bytes // 4, np.float32)}, MADE)
    if last is not None:
        os.utime(entry.path / "manifest.json", (last, last))
    return entry


def there(store):
    return {entry.key for entry in store.entries()}


def unfinished(store):
    return list((store.folder / "temporary").glob("*"))


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    later(path)


def later(path):
    """Two changes within one tick of the clock look like one."""
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))


@pytest.mark.parametrize("unit", [(), (7,), (3, 4), (0,)])
@pytest.mark.parametrize("samples", [0, 1, 5])
def test_what_is_written_is_read_bit_by_bit(store, samples, unit):
    chunks = [values((0, 3, 11), samples, unit, seed) for seed in (1, 2)]
    for chunk in chunks:
        for array in chunk.values():
            array.reshape(-1)[:4] = [np.nan, -np.inf, -0.0, 1e-45][: array.size]
    entry = store.entry(KEY)
    for number, chunk in enumerate(chunks):
        entry.write(number, chunk, MADE)
    assert_read(entry, chunks)
    stored = sorted(entry.path.glob("*.npy"))
    assert len(stored) == 6
    for path in stored:
        layer, chunk = map(int, re.findall(r"\d+", path.name))
        np.testing.assert_array_equal(np.load(path, allow_pickle=False), chunks[chunk][layer])


def test_the_layout_in_memory_does_not_matter(store):
    array = values([0], 6, (8,))[0]
    entry = store.entry(KEY)
    entry.write(0, {0: np.asfortranarray(array), 1: array[::-1]}, MADE)
    assert_read(entry, [{0: array, 1: array[::-1]}])


def test_what_is_read_cannot_be_changed(store):
    store.entry(KEY).write(0, values([0]), MADE)
    (array,) = store.entry(KEY).read([0], 1)[0]
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_what_is_missing_is_told_by_chunk_and_added_to_the_rest(store):
    entry, chunks = store.entry(KEY), [values(range(4), seed=seed) for seed in range(3)]
    assert entry.missing([1, 3], 2) == {0: (1, 3), 1: (1, 3)}
    entry.write(0, {layer: chunks[0][layer] for layer in (1, 3)}, MADE)
    entry.write(2, {3: chunks[2][3]}, MADE)
    assert entry.missing([1, 3], 1) == {}
    assert entry.missing(range(4), 3) == {0: (0, 2), 1: (0, 1, 2, 3), 2: (0, 1, 2)}
    with pytest.raises(Missing, match="layer-001_chunk-00001"):
        entry.read([3, 1], 3)
    for chunk, absent in entry.missing(range(4), 3).items():
        entry.write(chunk, {layer: chunks[chunk][layer] for layer in absent}, MADE)
    assert_read(entry, chunks)
    assert store.entry(OTHER).missing([0], 1) == {0: (0,)}


def test_what_is_there_stays(store):
    first, second = values([0, 1], seed=1), values([0, 1, 2], seed=2)
    store.entry(KEY).write(0, first, MADE)
    store.entry(KEY).write(0, second, MADE)
    assert_read(store.entry(KEY), [{**second, **first}])


def test_the_manifest_says_how_each_file_was_made(store):
    entry = store.entry(KEY)
    entry.write(0, values([0, 1]), MADE)
    entry.write(1, values([0, 1]), MADE)
    entry.write(0, values([2]), {**MADE, "batch": 8})
    told = json.loads((entry.path / "manifest.json").read_text(encoding="utf-8"))["entry"]
    assert [way.get("batch") for way in told["made"]] == [None, 8]
    assert told["made"][0]["versions"]["numpy"] == np.__version__
    assert told["dtype"] == "float32"
    assert {name: file["made"] for name, file in told["files"].items()} == {
        **{f"layer-00{i}_chunk-0000{c}.npy": 0 for i in (0, 1) for c in (0, 1)},
        "layer-002_chunk-00000.npy": 1,
    }
    for name, file in told["files"].items():
        path = entry.path / name
        by_shell = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True)
        assert file["sha256"] == by_shell.stdout.split()[0]
        assert file["bytes"] == path.stat().st_size
        assert file["shape"] == [5, 7]


@pytest.mark.parametrize(
    "wrong",
    [{0: np.zeros((2, 3))}, {0: np.float32(1)[()] * np.ones((), np.float32)}, "unequal"],
)
def test_values_that_are_no_chunk_are_refused(store, wrong):
    if wrong == "unequal":
        wrong = {0: np.zeros((2, 3), np.float32), 1: np.zeros((3, 3), np.float32)}
    with pytest.raises(ValueError, match=r"not float32|unequal"):
        store.entry(KEY).write(0, wrong, MADE)
    assert store.entry(KEY).missing([0], 1) == {0: (0,)}


@pytest.mark.parametrize("key", ["", "abc", "../../../etc", "AB" * 32, "ab" * 31 + "/."])
def test_a_key_is_a_hash(store, key):
    with pytest.raises(ValueError, match="hexadecimal hash"):
        store.entry(key)
    with pytest.raises(ValueError, match="hexadecimal hash"):
        store.computing(key, "reading gpt2")


HARMS = {
    "a flipped bit": flip,
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-5]),
    "emptied": lambda path: path.write_bytes(b""),
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "zeros": lambda path: (path.write_bytes(bytes(path.stat().st_size)), later(path)),
    "another's content": lambda path: path.write_bytes(
        (path.parent / "layer-001_chunk-00001.npy").read_bytes()
    ),
    "deleted": Path.unlink,
}


@pytest.mark.parametrize("asked_first", [True, False])
@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_file_is_set_aside_and_alone_computed_anew(store, harm, asked_first, capsys):
    entry, chunks = store.entry(KEY), [values(range(3), seed=seed) for seed in range(2)]
    for number, chunk in enumerate(chunks):
        entry.write(number, chunk, MADE)
    path = entry.path / "layer-001_chunk-00000.npy"
    HARMS[harm](path)
    later(path) if path.exists() else None
    left = path.read_bytes() if path.exists() else None
    if asked_first:
        entry.missing(range(3), 2)
    with pytest.raises(Missing):
        entry.read(range(3), 2)
    assert entry.missing(range(3), 2) == {0: (1,)}
    kept = list((store.folder / "damaged").glob("*"))
    assert [file.read_bytes() for file in kept] == ([] if left is None else [left])
    err = capsys.readouterr().err
    assert err.count("\n") == len(kept)
    assert all(str(file) in err for file in kept)
    entry.write(0, {1: chunks[0][1]}, MADE)
    assert_read(entry, chunks)
    assert all(checked.state == "sound" for checked in store.verify())


def test_all_damaged_files_are_found_at_once(store):
    entry = store.entry(KEY)
    entry.write(0, values(range(4)), MADE)
    for layer in (0, 2, 3):
        flip(entry.path / f"layer-00{layer}_chunk-00000.npy")
    with pytest.raises(Missing):
        entry.read(range(4), 1)
    assert entry.missing(range(4), 1) == {0: (0, 2, 3)}


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(b"\xff\x00 nothing"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"{}"),
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: path.write_bytes(path.read_bytes().replace(b"layer-001", b"layer-004")),
        lambda path: path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 7')),
    ],
)
def test_a_manifest_that_is_not_what_was_written_counts_as_nothing(store, harm, capsys):
    entry, chunk = store.entry(KEY), values(range(2))
    entry.write(0, chunk, MADE)
    harm(entry.path / "manifest.json")
    with pytest.raises(Missing):
        entry.read(range(2), 1)
    assert entry.missing(range(2), 1) == {0: (0, 1)}
    (kept,) = (store.folder / "damaged").glob("*")
    assert len(list(kept.glob("*.npy"))) == 2
    assert capsys.readouterr().err.count("\n") == 1
    entry.write(0, chunk, MADE)
    assert_read(entry, [chunk])


def test_verify_reads_every_file_again_and_finds_what_changed_without_a_trace(store, capsys):
    for key in (KEY, OTHER):
        store.entry(key).write(0, values(range(3)), MADE)
    store.put_record(OTHER, {"labels": np.arange(3)})
    assert [checked.state for checked in store.verify()] == ["sound"] * 7
    entry = store.entry(KEY)
    altered, gone = (entry.path / f"layer-00{layer}_chunk-00000.npy" for layer in (1, 2))
    before = altered.stat()
    flip(altered)
    os.utime(altered, ns=(before.st_atime_ns, before.st_mtime_ns))
    gone.unlink()
    (store.entry(OTHER).path / "manifest.json").write_text("")
    found = {(c.key, c.file): c.state for c in store.verify() if c.state != "sound"}
    assert found == {
        (KEY, altered.name): "damaged",
        (KEY, gone.name): "lost",
        (OTHER, "manifest.json"): "damaged",
    }
    assert [(checked.file, checked.state) for checked in store.verify()] == [
        ("layer-000_chunk-00000.npy", "sound")
    ]
    assert capsys.readouterr().err.count("set aside") == 2


def test_a_record_is_remembered(store):
    record = {
        "file": np.array(["the heron", "für Élise", ""]),
        "position": np.arange(12).reshape(3, 4),
        "described": np.array(json.dumps({"n": 1})),
    }
    with pytest.raises(KeyError):
        store.get_record(KEY)
    store.put_record(KEY, record)
    store.put_record(KEY, {"file": np.zeros(1)})
    store.entry(KEY).write(0, values([0]), MADE)
    found = store.get_record(KEY)
    assert list(found) == list(record)
    for name, array in record.items():
        np.testing.assert_array_equal(found[name], array)
    with np.load(store.entry(KEY).path / "record.npz", allow_pickle=False) as archive:
        assert archive.files == list(record)
    with pytest.raises(ValueError, match="allow_pickle"):
        store.put_record(OTHER, {"objects": np.array([{}, []], object)})
    assert there(store) == {KEY}


@pytest.mark.parametrize("harm", [flip, Path.unlink, HARMS["cut off"]])
def test_a_damaged_record_is_set_aside(store, harm):
    store.put_record(KEY, {"labels": np.arange(30)})
    harm(store.entry(KEY).path / "record.npz")
    for _ in range(2):
        with pytest.raises(KeyError):
            store.get_record(KEY)
    store.put_record(KEY, {"labels": np.arange(30)})
    np.testing.assert_array_equal(store.get_record(KEY)["labels"], np.arange(30))


def test_above_the_limit_the_least_recently_used_go(tmp_path):
    store = ActivationStore(tmp_path, 100_000)
    now = time.time()
    keys = [f"{i}f" * 16 for i in range(6)]
    for age, key in zip((500, 400, 300, 200), keys, strict=False):
        of_size(store, key, 24_000, now - age)
    assert there(store) == set(keys[:4])
    store.entry(keys[0]).read([0], 1)
    of_size(store, keys[4], 24_000, now - 100)
    assert there(store) == {keys[0], keys[2], keys[3], keys[4]}
    os.utime(store.entry(keys[0]).path / "manifest.json", (now - 90, now - 90))
    assert store.entry(keys[2]).missing([0], 1) == {}
    of_size(store, keys[5], 30_000)
    assert there(store) == {keys[0], keys[2], keys[5]}


def test_what_was_used_a_moment_ago_stays_whatever_the_limit(tmp_path):
    store = ActivationStore(tmp_path, 1_000)
    for key in (KEY, OTHER):
        of_size(store, key, 900)
    assert there(store) == {KEY, OTHER}


def test_an_entry_larger_than_the_limit_is_kept_and_said_once(tmp_path, capsys):
    store = ActivationStore(tmp_path, 10_000)
    of_size(store, OTHER, 4_000, time.time() - 500)
    for chunk in range(3):
        store.entry(KEY).write(chunk, values([0], 3_000, ()), MADE)
    assert there(store) == {KEY}
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "more than activations.limit_gb allows (10 kB)" in err


def test_who_has_an_evicted_entry_mapped_keeps_it(store):
    chunk = values(range(2), 3_000)
    store.entry(KEY).write(0, chunk, MADE)
    found = store.entry(KEY).read(range(2), 1)
    assert store.prune(0).keys == (KEY,)
    for layer, (array,) in found.items():
        np.testing.assert_array_equal(array, chunk[layer])
    with pytest.raises(Missing):
        store.entry(KEY).read(range(2), 1)


def test_an_entry_that_goes_while_it_is_looked_at_is_missing(store, monkeypatch):
    entry = store.entry(KEY)
    entry.write(0, values([0]), MADE)
    looked = entry.manifest()
    store.prune(0)
    monkeypatch.setattr(type(entry), "manifest", lambda self: looked)
    with pytest.raises(Missing):
        entry.read([0], 1)


def test_prune_comes_down_to_a_size_and_takes_what_was_set_aside_first(store):
    now = time.time()
    keys = [f"{i}f" * 16 for i in range(4)]
    for age, key in zip((400, 100, 300, 200), keys, strict=True):
        of_size(store, key, 10_000, now - age)
    bad = of_size(store, KEY, 10_000)
    flip(bad.path / "layer-000_chunk-00000.npy")
    with pytest.raises(Missing):
        bad.read([0], 1)
    total = sum(entry.bytes for entry in store.entries())
    assert store.quarantined_bytes() == 10_128
    assert store.prune(total + 20_000).keys == ()
    assert store.quarantined_bytes() == 10_128
    pruned = store.prune(total)
    assert (pruned.keys, pruned.damaged, pruned.left) == ((), 10_128, total)
    assert store.prune(25_000).keys == (keys[0], keys[2])
    assert there(store) == {keys[1], keys[3]}
    assert store.prune(0).left == 0
    assert not list(store.folder.rglob("*.npy"))


def test_what_dead_processes_left_is_swept_away_and_what_is_being_written_is_not(store):
    entry = store.entry(KEY)
    entry.write(0, values([0]), MADE)
    orphan = entry.path / "layer-009_chunk-00000.npy"
    orphan.write_bytes(bytes(300))
    left = store.folder / "temporary" / "0123456789abcdef"
    left.write_bytes(bytes(500))
    half_removed = store.folder / "temporary" / "fedcba9876543210"
    half_removed.mkdir()
    (half_removed / "layer-000_chunk-00000.npy").write_bytes(bytes(200))
    old_lock = store.folder / "locks" / "computing-12345678.lock"
    old_lock.touch()
    with files.staged(store.folder, {"new": [b"alive"]}) as staged:
        os.utime(left, (0, 0))
        os.utime(old_lock, (0, 0))
        os.utime(staged["new"].path, (0, 0))
        assert store.prune(10**9).unfinished == 1000
        assert unfinished(store) == [staged["new"].path]
    assert not unfinished(store)
    assert not orphan.exists()
    assert not old_lock.exists()
    assert entry.missing([0], 1) == {}


def refusal(entry, chunk):
    try:
        entry.write(1, chunk, MADE)
    except StorageError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("call", ["fsync", "rename", "open"])
def test_a_full_disk_is_one_error_and_leaves_the_store_as_it_was(store, call, number, monkeypatch):
    """Every call in turn that may meet a full disk does, up to the last."""
    entry, chunk, new = store.entry(KEY), values(range(3)), values(range(3), seed=1)
    entry.write(0, chunk, MADE)
    owner = {"fsync": os, "rename": Path, "open": Path}[call]
    real = getattr(owner, call)
    for nth in range(30):
        calls = iter(range(100))

        def full(*args, calls=calls, nth=nth, **kwargs):
            if next(calls) == nth:
                raise OSError(number, os.strerror(number))
            return real(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(owner, call, full)
            said = refusal(entry, new)
        if not said:
            break
        assert "the disk of" in said
        assert "interp store prune" in said
        assert not unfinished(store)
        assert len(list(entry.path.iterdir())) in (4, 7)
        assert all(checked.state == "sound" for checked in store.verify())
        assert_read(entry, [chunk])
    assert nth >= 3
    assert_read(entry, [chunk, new])


def test_a_file_that_outgrows_what_the_system_allows_leaves_nothing_behind(tmp_path):
    code = """
import resource, sys, numpy as np
from interp.core.errors import StorageError
from interp.cache import ActivationStore
from pathlib import Path
store = ActivationStore(Path(sys.argv[1]), 10**9)
store.entry("ab" * 8).write(0, {0: np.arange(1000, dtype=np.float32)}, {})
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    store.entry("ab" * 8).write(1, {0: np.arange(100_000, dtype=np.float32)}, {})
except StorageError as error:
    print(error)
"""
    out = run(code, tmp_path)
    assert "401 kB were needed" in out
    store = ActivationStore(tmp_path, 10**9)
    assert not unfinished(store)
    assert store.entry("ab" * 8).missing([0], 2) == {1: (0,)}


def test_a_folder_that_cannot_be_used_is_a_mistake_of_the_configuration(tmp_path):
    (tmp_path / "outputs").write_text("a file")
    store = ActivationStore.of(str(tmp_path / "outputs"), 50)
    with pytest.raises(StorageError, match="outputs/activations cannot be used: Not a directory"):
        store.entry(KEY).write(0, values([0]), MADE)
    with (
        pytest.raises(StorageError, match="cannot be used: Not a directory"),
        store.computing(KEY, "reading gpt2"),
    ):
        pass


@pytest.mark.parametrize("limit", [-1, float("nan"), float("inf")])
def test_the_limit_is_a_size(limit):
    with pytest.raises(ConfigError, match=r"activations\.limit_gb must be at least 0"):
        ActivationStore.of("outputs", limit)


def test_more_files_are_mapped_than_may_be_open(tmp_path):
    code = """
import resource, sys, numpy as np
from interp.cache import ActivationStore
from pathlib import Path
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
entry = ActivationStore(Path(sys.argv[1]), 10**9).entry("ab" * 8)
entry.write(0, {layer: np.full(3, layer, np.float32) for layer in range(40)}, {})
entry.write(1, {layer: np.full(3, -layer, np.float32) for layer in range(40)}, {})
found = entry.read(range(40), 2)
print(all((a == i).all() and (b == -i).all() for i, (a, b) in found.items()))
"""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 256:
        pytest.skip("no more than 256 files may be open here at all")
    assert run(code, tmp_path) == "True\n"


def run(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout


@pytest.mark.parametrize("module", ["interp.cache", "interp.cli.commands.store"])
def test_nothing_heavy_is_imported(module):
    loaded = run(f"import sys, {module}; print(*sys.modules)").split()
    for heavy in ("torch", "transformers", "mlflow", "pandas", "scipy", "matplotlib", "sklearn"):
        assert heavy not in loaded


@pytest.fixture
def interp(monkeypatch, tmp_path, capsys):
    """Run `interp store` in this process; returns its exit status, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["interp", "store", *arguments])
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        capsys.readouterr()
        try:
            main()
        except SystemExit as stop:
            return (stop.code, *capsys.readouterr())
        return (0, *capsys.readouterr())

    return call


@pytest.fixture
def filled(tmp_path):
    """Two entries and a record in the folder `here`."""
    store = ActivationStore.of(str(tmp_path / "here"), 50)
    store.entry(KEY).write(0, values(range(7), 2_500), {**MADE, "title": "minilm"})
    store.entry(OTHER).write(0, values((0, 1, 5), 500), MADE)
    store.entry(OTHER).write(1, values((0, 1, 5), 100), MADE)
    os.utime(store.entry(OTHER).path / "manifest.json", (0, 0))
    store.put_record("ef" * 16, {"labels": np.arange(3)})
    return store


def test_list_shows_what_there_is_the_latest_first(interp, filled):
    status, out, err = interp("list", "outputs=here")
    assert (status, err) == (0, "")
    title, first, second, _, total = out.splitlines()
    assert title.split() == ["what", "prompts", "layers", "samples", "size", "last", "used"]
    assert re.match(r"minilm · resid_post · target  him / her  0-6 +2500 +493 kB +20\d\d-", first)
    assert re.match(r"gpt2 · resid_post · target +him / her  0-1, 5  600 +5\d kB +1970-01-", second)
    assert re.match(r"54\d kB of at most 50 GB in .*/here/activations", total)
    assert interp("outputs=here")[1] == out


def test_list_of_nothing_creates_nothing(interp, tmp_path):
    status, out, _ = interp("outputs=nowhere")
    assert (status, out) == (0, f"nothing is stored in {tmp_path}/nowhere/activations\n")
    assert not (tmp_path / "nowhere").exists()


def test_verify_counts_and_names(interp, filled):
    assert interp("verify", "outputs=here")[:2] == (
        0,
        "14 files (543 kB) are what was written; 0 are not\n",
    )
    flip(filled.entry(KEY).path / "layer-003_chunk-00000.npy")
    status, out, err = interp("verify", "outputs=here")
    assert status == 1
    assert f"damaged  layer-003_chunk-00000.npy of {KEY}" in out
    assert "13 files" in out
    assert "set aside as" in err
    assert "set aside as damaged" in interp("list", "outputs=here")[1]


def test_prune_says_what_went(interp, filled):
    assert "removed" not in interp("prune", "outputs=here")[1]
    status, out, _ = interp("outputs=here", "prune", "to=0.5MB")
    assert status == 0
    assert re.search(r"^gpt2 · resid_post · target .* 1970-", out, re.M)
    assert there(filled) == {KEY, "ef" * 16}
    interp("prune", "outputs=here", "activations.limit_gb=0")
    assert there(filled) == set()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["liist"], "did you mean 'list'?"),
        (["list", "verify"], "one action"),
        (["list", "to=2GB"], "to is a setting of `interp store prune`"),
        (["prune", "to=2"], "to: expected a size such as 2GB or 500MB, not '2'"),
        (["outptus=here"], "did you mean 'outputs'?"),
        (["activations.limit_gb=much"], "must be a number of GB, not 'much'"),
        (["outputs="], "outputs needs a folder"),
    ],
)
def test_a_mistake_is_answered_in_one_line(interp, arguments, said):
    status, _, _ = interp(*arguments)
    assert str(status).startswith("interp: ")
    assert said in status


def test_help_tells_the_actions(interp):
    status, out, _ = interp("--help")
    assert status == 0
    for word in ("list", "verify", "prune", "to=2GB"):
        assert word in out


def test_the_whole_store_is_looked_at_once_for_a_hundredth_of_the_limit(tmp_path, monkeypatch):
    store = ActivationStore(tmp_path, 1_000_000)
    looks = []
    real = eviction.evict
    monkeypatch.setattr(eviction, "evict", lambda *a, **k: looks.append(0) or real(*a, **k))
    for chunk in range(9):
        store.entry(KEY).write(chunk, {0: np.zeros(500, np.float32)}, MADE)
    assert len(looks) == 2
