import json
import re
import sys

import numpy as np
import pytest

from benchmarks import extraction, growth, metrics, neurons, sweep, ways, workloads
from benchmarks.__main__ import RESULTS, SECTIONS, main, write
from benchmarks.comparison import Compared, compare, difference
from benchmarks.environment import environment
from benchmarks.process import Failed, Rounds, Taken, fresh, interleaved, measured
from benchmarks.table import Bar, Row, markdown, number, ratios
from interp.data.positions import Target


def cells_of(text):
    """Every line of a Markdown table as its cells, headings first."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


@pytest.fixture
def small_on_disk(tmp_path):
    """Write sections made of rows, and read both files back."""

    def written(**sections):
        told = {
            name: {"environment": environment, "rows": [row.as_json() for row in rows]}
            for name, (environment, rows) in sections.items()
        }
        write(told, tmp_path / "results.json")
        text = (tmp_path / "results.md").read_text(encoding="utf-8")
        return json.loads((tmp_path / "results.json").read_text(encoding="utf-8")), text

    return written


# --- rows and bars


@pytest.mark.parametrize("count", [1, 4, 5])
def test_a_row_tells_median_and_range_of_its_rounds(count):
    values = np.random.default_rng(count).normal(size=count)
    told = Row("b", "n", tuple(values)).as_json()
    assert told["median"] == pytest.approx(np.median(values))
    assert (told["low"], told["high"]) == (values.min(), values.max())
    assert told["values"] == tuple(values)


@pytest.mark.parametrize(
    ("bar", "values", "met"),
    [
        (Bar("at most", 0.45), (0.2, 0.45, 9.0), True),
        (Bar("at most", 0.45), (0.2, 0.451, 0.46), False),
        (Bar("at least", 3), (1.0, 3.0, 4.0), True),
        (Bar("at least", 3), (1.0, 2.9, 40.0), False),
        (Bar("at least", 3), (), None),
        (None, (1.0,), None),
    ],
)
def test_a_bar_is_held_against_the_median_and_met_by_the_value_itself(bar, values, met):
    assert Row("b", "n", values, bar=bar).is_met() is met


def test_ratios_are_taken_round_by_round():
    assert ratios([2.0, 9.0], [4.0, 3.0]) == (0.5, 3.0)
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize(("value", "said"), [(0.4149, "0.41"), (20, "20.00"), (12345.6, "12,346")])
def test_numbers_are_short(value, said):
    assert number(value) == said


# --- the two files


def test_both_files_tell_the_same_rows(small_on_disk):
    rows = [
        Row("a | b", "one", (1.0, 3.0, 2.0), bar=Bar("at most", 2.0), memory=(0.5, 0.7, 0.6)),
        Row("a | b", "two", bar=Bar("at least", 3), remark="nnsight is not installed"),
        Row("a | b", "three", (1500.0,), unit="MB", difference=1.25e-7),
    ]
    told, text = small_on_disk(extraction=({"torch": "2.13"}, rows))
    headings, rule, *lines = cells_of(text)
    assert {len(line) for line in (headings, rule, *lines)} == {len(headings)}
    one, two, three = (dict(zip(headings, line, strict=True)) for line in lines)
    assert one == {
        **{"benchmark": r"a \| b", "what": "one", "median": "2.00", "range": "1.00 to 3.00"},
        **{"rounds": "3", "bar": "at most 2", "met": "yes", "peak memory": "0.60"},
        **{"differs by": "", "remark": ""},
    }
    assert (two["median"], two["met"], two["range"]) == ("not run", "not run", "")
    assert two["remark"] == "nnsight is not installed"
    assert (three["median"], three["differs by"], three["met"]) == ("1,500 MB", "1.2e-07", "")
    (section,) = told.values()
    assert [row["met"] for row in section["rows"]] == [True, None, None]
    assert section["rows"][0]["memory_median"] == 0.6
    assert section["rows"][1]["median"] is None


def test_sections_keep_the_table_s_order_and_each_its_environment(small_on_disk):
    row = [Row("b", "n", (1.0,))]
    old, new = {"torch": "2.12"}, {"torch": "2.13"}
    told, text = small_on_disk(gpu=(old, row), extraction=(new, row), sweep=(old, row))
    assert list(told) == ["extraction", "sweep", "gpu"]
    assert "Measured on (extraction): torch 2.13." in text
    assert "Measured on (sweep, gpu): torch 2.12." in text
    assert markdown(told) == text


def test_the_environment_names_versions_processor_and_cores():
    found = environment()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found["date"])
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["numpy"] == np.__version__
    assert int(found["cores"]) >= 1
    assert found["processor"]
    assert {"torch", "transformers", "transformer-lens", "nnsight"} <= found.keys()


@pytest.mark.parametrize("arguments", [["extracton"], ["--rounds", "0"]])
def test_a_slip_on_the_command_line_is_refused_before_anything_runs(arguments, capsys):
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2
    said = capsys.readouterr().err
    assert "extraction, neurons" in said or "at least 1, not 0" in said


# --- rounds and processes


def test_rounds_take_turns_and_a_way_that_fails_says_why():
    ran = []

    def run(way, turn):
        ran.append(f"{way}{turn}")
        if way == "b" and turn == 1:
            raise Failed("no space")
        return Taken(float(turn))

    found = interleaved(["a", "b", "c"], 3, run)
    assert ran == ["a0", "b0", "c0", "b1", "c1", "a1", "c2", "a2"]
    assert sorted(found["a"].seconds) == [0.0, 1.0, 2.0]
    assert found["b"] == Rounds(reason="failed: no space")


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_the_peak_of_memory_is_that_of_the_action_alone():
    np.ones(200 * 2**17)  # 200 MiB, let go: the process's own high-water mark
    found, taken = measured(lambda: np.ones(50 * 2**17).sum())
    assert found == 50 * 2**17
    if taken.mebibytes is None:
        pytest.skip("this system keeps no mark that can be reset")
    assert 48 < taken.mebibytes < 70


def test_a_fresh_process_returns_what_a_function_returns_or_its_last_word():
    assert fresh("benchmarks.table:number", value=1234.5) == "1,234"
    with pytest.raises(Failed, match="TypeError: bad operand type"):
        fresh("benchmarks.table:number", value="twelve")


# --- workloads


def test_the_short_prompts_are_the_sentences_with_him():
    prompts = workloads.him()
    assert len(prompts) == len(set(prompts.texts)) == 108
    assert {t[slice(*span)] for t, span in zip(prompts.texts, prompts.targets, strict=True)} == {
        "him"
    }
    before = {t[: span[1]] for t, span in zip(prompts.texts, prompts.targets, strict=True)}
    assert len(before) == 54
    assert workloads.him_and_her().groups == ("him",) * 54 + ("her",) * 54


def test_mixed_prompts_have_all_lengths_and_targets_anywhere():
    prompts = workloads.mixed(("a", "bc", "def"), 2000)
    assert prompts == workloads.mixed(("a", "bc", "def"), 2000)
    words = [text.split() for text in prompts.texts]
    assert {len(text) for text in words} == set(range(8, 65))
    places = []
    for text, (start, end) in zip(prompts.texts, prompts.targets, strict=True):
        assert text[start:end] in ("a", "bc", "def")
        places.append(len(text[:start].split()) / (len(text.split()) - 1))
    # Of a uniform place the mean lies at the middle, to 5 standard errors.
    assert abs(np.mean(places) - 0.5) < 5 * np.sqrt(1 / 12 / 2000)


@pytest.mark.parametrize(
    ("name", "shape", "lengths", "count"),
    [("short", (24, 1024, 16), {7, 8}, 108), ("long", (12, 768, 12), set(range(8, 65)), 256)],
)
def test_decoders_have_the_published_shapes_and_a_token_a_word(name, shape, lengths, count):
    work = workloads.workload(name, small=False)
    config = work.source.config()
    assert (config.n_layer, config.n_embd, config.n_head) == shape
    assert config.vocab_size == 50257
    assert work.n_layers == shape[0]
    model = work.source.skeleton()
    tokens = list(model.tokenize(work.prompts.texts))
    assert len(tokens) == count
    assert {len(prompt.ids) for prompt in tokens} <= lengths
    unknown = model.tokenizer.unk_token_id
    assert not any((np.array(prompt.ids) == unknown).any() for prompt in tokens)
    assert model.module.get_submodule(work.blocks)


def test_the_encoder_reads_one_token_a_word_and_two_of_its_own():
    work = workloads.workload("encoder", small=False)
    assert len(work.prompts) == 1024
    model = work.source.skeleton()
    tokens = list(model.tokenize(work.prompts.texts[:100]))
    assert [len(t.ids) - 2 for t in tokens] == [len(t.split()) for t in work.prompts.texts[:100]]
    assert len(model.module.get_submodule(work.blocks)) == work.n_layers


def test_a_million_prompts_differ_and_are_short():
    prompts = [growth.prompt(number) for number in range(0, 1_000_000, 999)]
    assert len(set(prompts)) == len(prompts)
    assert 20 < np.mean([len(text) for text in prompts]) < 40


def test_the_sweep_is_48_jobs_of_which_some_are_measured_alone():
    jobs = sweep.shape(small=False).jobs()
    assert len(set(jobs)) == 48
    chosen = sweep.sampled(jobs)
    assert len(set(chosen)) == sweep.SAMPLED
    assert {metric for _, metric in chosen} == set(sweep.METRICS)
    assert len({layer for layer, _ in chosen}) == sweep.SAMPLED
    # The first alone makes the database: it counts once, the others' mean 47 times.
    assert sweep.scaled([10.0, 2.0, 4.0], 48) == 10 + 47 * 3


# --- what the README quotes


def test_the_readme_quotes_the_table():
    sections = json.loads(RESULTS.read_text(encoding="utf-8"))
    readme = (RESULTS.parents[1] / "README.md").read_text(encoding="utf-8")
    speed = readme.partition("## Speed")[2].partition("## Work on it")[0]
    ways, _, others = speed.partition("\n\n| what |")

    def measured(name, of):
        rows = [row for section in of for row in sections[section]["rows"] if row["name"] == name]
        return [f"{number(row['median'])} {row['unit']}".rstrip() for row in rows]

    rest = [section for section in sections if section != "extraction"]
    for name, *quoted in cells_of(ways)[2:]:
        assert quoted == measured(re.sub("[*`]", "", name), ["extraction"])
    for name, quoted, _ in cells_of(f"| what |{others}")[2:]:
        assert quoted == " and ".join(measured(name, rest))
    assert len(cells_of(ways)) > 6
    assert len(cells_of(others)) > 9


# --- sections


def test_each_section_has_rows():
    assert list(SECTIONS) == [
        *("extraction", "neurons", "patterns", "sweep", "growth", "similarity", "gpu")
    ]


def test_extraction_holds_each_way_against_the_bare_forward():
    seconds = {"bare": 10.0, "ours, every block": 4.0, "nnsight": 11.0, "output_hidden_states": 9.5}
    seconds["bare, smaller batches"] = 8.0
    rounds = {way: Rounds([Taken(s, 100 * s), Taken(s, 100 * s)]) for way, s in seconds.items()}
    lens = "TransformerLens, residual"
    rounds[lens] = Rounds(reason="transformer_lens is not installed: pip install '.[bench]'")
    rows = list(extraction.told("t", Compared(rounds, {"nnsight": 1e-6}), 0.45, 3.0))
    by_name = {row.name: row for row in rows}
    assert by_name["interp"].values == (0.4, 0.4)
    assert by_name["interp"].is_met() is True
    assert by_name["nnsight trace"].difference == 1e-6
    assert by_name["interp, peak memory beyond the weights"].values == (0.4, 0.4)
    assert by_name["interp against batches of 32"].values == (0.5, 0.5)
    for name in ("TransformerLens run_with_cache, names filter", "TransformerLens against interp"):
        assert by_name[name].values == ()
        assert by_name[name].remark.startswith("transformer_lens is not installed")
        assert by_name[name].is_met() is None


def test_the_sixth_layer_of_twelve_may_take_half_a_pass():
    assert neurons.bar(5, 12) == Bar("at most", 0.55)


def test_growth_tells_the_time_of_a_prompt_and_holds_a_million_against_its_bar():
    found = {
        1_000: Rounds([Taken(1.0, 10.0), Taken(3.0, 10.0)]),
        1_000_000: Rounds([Taken(4000.0, 2000.0)]),
    }
    rows = {row.name: row for row in growth.told(found)}
    # 4 ms a prompt against a median of 2 ms.
    assert rows["1,000,000 prompts, time per prompt"].values == (2.0,)
    peak = rows["1,000,000 prompts, peak memory beyond the model"]
    assert peak.values == pytest.approx((2097.152,))
    assert peak.is_met() is False
    figure = growth.drawn(found)
    assert [axes.get_xscale() + axes.get_yscale() for axes in figure.axes] == ["loglog"] * 2
    np.testing.assert_allclose(figure.axes[0].lines[0].get_xydata(), [[1e3, 2], [1e6, 4000]])


@pytest.mark.parametrize(
    ("name", "least"),
    [("SVCCA, 108 points", 20), ("svcca of 13 layers, n=4,096", 10), ("linear CKA, 4,096", None)],
)
def test_only_svcca_over_all_pairs_has_a_bar(name, least):
    assert metrics.bar(name) == (Bar("at least", least) if least else None)


# --- the ways


def test_a_difference_is_relative_to_the_largest_and_needs_the_same_samples():
    reference = np.array([[[1.0, -4.0]], [[2.0, 0.0]]])
    found = reference.copy()
    found[0, 0, 0] += 0.4
    assert difference(found, reference) == pytest.approx(0.1)
    assert difference(reference[:1], reference) == 0
    with pytest.raises(ValueError, match="cannot be held against"):
        difference(reference[:, :, :1], reference)


@pytest.mark.parametrize("on", ["long", "encoder"])
def test_the_ways_read_what_the_model_itself_returns(on):
    torch = pytest.importorskip("torch")
    work = workloads.workload(on, small=True)
    prompts = work.first(6)

    def read(way):
        return ways.WAYS[way](work)(prompts)()

    model = work.source.load()
    expected = []
    for text, span in zip(prompts.texts, prompts.targets, strict=True):
        (tokens,) = model.tokenize([text])
        ((target,),) = Target()(tokens, span)
        with torch.inference_mode():
            states = model.module(
                torch.tensor(tokens.ids)[None], output_hidden_states=True
            ).hidden_states
        # One prompt at a time: no padding, no batch.
        expected.append([state[0, target].numpy() for state in states[1:]])
    expected = np.array(expected).swapaxes(0, 1)
    # A causal model's last hidden state is after the final norm.
    same = slice(0, -1) if work.is_causal else slice(None)
    for way in ("hooks on every block", "ours, every block"):
        assert read(way).shape == expected.shape
        np.testing.assert_allclose(read(way)[same], expected[same], atol=2e-5)
    np.testing.assert_allclose(read("output_hidden_states"), expected[same], atol=2e-5)
    pattern = read("ours, pattern")
    np.testing.assert_allclose(pattern, read("output_attentions"), atol=1e-5)
    np.testing.assert_allclose(pattern.sum(-1), 1, atol=1e-5)
    assert read("bare").size == 0


def test_a_package_that_is_missing_is_said_and_not_measured(monkeypatch):
    monkeypatch.setattr(ways.importlib.util, "find_spec", lambda name: None)
    found = compare("long", ["nnsight"], {}, rounds=2, small=True)
    assert found.rounds["nnsight"].reason == "nnsight is not installed: pip install '.[bench]'"
    assert found.time("nnsight", "nnsight") == ()
    assert ways.missing_package("bare") == ""
