"""Prompts from datasets on this disk; the library is an extra."""

import json
import sys

import pytest

from interp.core.errors import ConfigError
from interp.data.prompts.dataset import Dataset
from interp.data.prompts.written import PromptFile

ROWS = [
    {"text": "a {b", "kind": "x", "n": 1, "note": "u"},
    {"text": " ", "kind": "x", "n": 2, "note": "v"},
    {"text": "the {heron} waits", "kind": "y", "n": 3, "note": None},
    {"text": "c", "kind": "x", "n": 4.5, "note": "w"},
]


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return str(path)


def test_texts_stand_as_they_are_and_blank_ones_are_passed_over(rows):
    pytest.importorskip("datasets")
    found = Dataset("json", data_files=rows).load()
    assert found.texts == ("a {b", "the {heron} waits", "c")
    assert found.groups == ("all",) * 3
    assert found.targets == ((0, 0),) * 3
    assert found.columns == {"kind": ("x", "y", "x"), "n": (1, 3, 4.5)}


def test_groups_stand_one_after_the_other(rows):
    pytest.importorskip("datasets")
    found = Dataset("json", data_files=rows, group_column="kind").load()
    assert found.texts == ("a {b", "c", "the {heron} waits")
    assert found.groups == ("x", "x", "y")
    assert found.columns == {"n": (1, 4.5, 3)}


def test_class_labels_are_groups_by_their_names(tmp_path):
    datasets = pytest.importorskip("datasets")
    labels = datasets.ClassLabel(names=["good", "bad"])
    features = datasets.Features({"text": datasets.Value("string"), "label": labels})
    table = {"text": ["a", "b", "c"], "label": [1, 0, 1]}
    path = str(tmp_path / "labels.parquet")
    datasets.Dataset.from_dict(table, features=features).to_parquet(path)
    found = Dataset("parquet", data_files=path, group_column="label").load()
    assert found.groups == ("bad", "bad", "good")
    assert found.texts == ("a", "c", "b")


@pytest.mark.parametrize("limit", [1, 7, 5000, 9000, 20_000])
def test_a_stream_ends_at_the_limit_and_says_what_the_file_says(tmp_path, limit):
    pytest.importorskip("datasets")
    path = tmp_path / "many.txt"
    path.write_text("".join(f"number {i}\n" for i in range(9001)))
    found = Dataset("text", data_files=str(path), limit=limit).load()
    assert found.texts == PromptFile(str(path)).load().texts[:limit]


def test_what_cannot_be_read_is_said_in_one_line(rows, tmp_path):
    pytest.importorskip("datasets")
    (tmp_path / "broken.jsonl").write_text("{broken")
    for dataset, said in (
        (Dataset("no/such-dataset"), "the dataset 'no/such-dataset' cannot be read: "),
        (Dataset("json", data_files="no.jsonl"), "cannot be read: Unable to find"),
        (Dataset("json", data_files=rows, split="tset"), "cannot be read: Bad split: tset"),
        (Dataset("json", data_files=str(tmp_path / "broken.jsonl")), "cannot be read: JSON"),
        (Dataset("json", data_files=rows, text_column="txt"), "no column 'txt'; did you mean 't"),
        (Dataset("json", data_files=rows, group_column="n"), "1.0, which is not a text, as its n"),
    ):
        with pytest.raises(ConfigError, match=said) as caught:
            dataset.load()
        assert "\n" not in str(caught.value)


def test_a_datasets_own_code_never_runs(tmp_path):
    pytest.importorskip("datasets")
    folder = tmp_path / "coded"
    folder.mkdir()
    (folder / "coded.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ConfigError, match="cannot be read: Dataset scripts are no longer"):
        Dataset(str(folder)).load()
    assert not (tmp_path / "ran").exists()


def test_a_missing_library_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"pip install 'interp\[datasets\]'$"):
        Dataset("allenai/c4").load()


def test_no_prompt_at_all_is_no_limit():
    with pytest.raises(ConfigError, match="limit must be at least 1, not 0"):
        Dataset("json", limit=0)
