import hashlib
import json
import random
import tracemalloc

import pandas as pd
import pytest
from omegaconf import OmegaConf

from interp.cli.main import CONF
from interp.core.errors import ConfigError
from interp.data.prompts import PROMPTS, PromptSet, from_marked, parse_marked, prompt_set
from interp.data.prompts.generated import Counting, NumberSequences
from interp.data.prompts.number_words import number_words
from interp.data.prompts.written import PromptFile


@pytest.mark.parametrize(
    ("marked", "plain", "target"),
    [
        ("I saw {him} there, and him again", "I saw him there, and him again", "him"),
        ("{One} two", "One two", "One"),
        ("the end {is here}", "the end is here", "is here"),
        ("braces {{like these}} stay", "braces {like these} stay", ""),
        ("{{{mixed}}} kinds", "{mixed} kinds", "mixed"),
        ("ein {Gr\u00fc\u00dfen} 🙂", "ein Gr\u00fc\u00dfen 🙂", "Gr\u00fc\u00dfen"),
    ],
)
def test_a_target_is_marked_with_braces(marked, plain, target):
    text, (start, end) = parse_marked(marked)
    assert text == plain
    assert text[start:end] == target


@pytest.mark.parametrize("marked", ["a {b", "a b}", "a {}", "{a} and {b}", "{a {b}}", "}{"])
def test_a_faulty_mark_is_refused(marked):
    with pytest.raises(ConfigError, match=r"mark one target as \{word\}"):
        parse_marked(marked)


def test_what_is_written_with_marks_is_read_without():
    draw = random.Random(0)
    for _ in range(500):
        before, word, after = ("".join(draw.choices("ab {}", k=draw.randrange(5))) for _ in "123")
        word = word.replace("{", "").replace("}", "") or "him"
        doubled = (side.replace("{", "{{").replace("}", "}}") for side in (before, after))
        marked = f"{{{word}}}".join(doubled)
        start = len(before)
        assert parse_marked(marked) == (before + word + after, (start, start + len(word)))
        unmarked = (before + after).replace("{", "{{").replace("}", "}}")
        assert parse_marked(unmarked) == (before + after, (0, 0))


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({}, "set is empty"),
        ({"a": []}, "'a' has no prompt"),
        ({"a": ["x"], "b": []}, "'b' has no prompt"),
        ({"a": ["  "]}, "empty prompt"),
        ({"\ud800": ["x"]}, "is not valid Unicode text"),
    ],
)
def test_an_empty_set_is_refused(groups, said):
    with pytest.raises(ConfigError, match=said):
        from_marked(groups)


def test_the_content_hash_tells_texts_groups_and_targets_apart():
    sets = [
        from_marked(groups)
        for groups in ({"a": ["x y"]}, {"b": ["x y"]}, {"a": ["{x} y"]}, {"a": ["x", "y"]})
    ]
    assert len({s.content_hash for s in sets}) == 4
    assert from_marked({"a": ["x y"]}).content_hash == sets[0].content_hash


@pytest.mark.parametrize("at_once", [1, 2, 1 << 14])
def test_the_content_hash_is_that_of_one_json_list(at_once, monkeypatch):
    monkeypatch.setattr(prompt_set, "_HASHED_AT_ONCE", at_once)
    found = from_marked(
        {"a": ["caf\u00e9 {x}", "y"], "\u00df": ["z"]}, {"n": [1, 2.5, 3], "\u00fc": "uvw"}
    )
    content = [found.texts, found.groups, found.targets, dict(found.columns)]
    written = json.dumps(content, ensure_ascii=False).encode()
    assert found.content_hash == hashlib.sha256(written).hexdigest()


def test_sets_of_the_same_content_are_one_key():
    def made(word="y", age=1):
        return from_marked({"a": ["x {x}", word]}, {"age": [age, 2]})

    assert made() == made()
    assert {made(): "found"}[made()] == "found"
    assert made() not in {made(word="z"): "", made(age=3): ""}
    assert made() != made().texts


def test_members_of_a_group_wherever_they_stand():
    for groups in ("aabbb", "abab", "baa", "a", "abcab"):
        n = len(groups)
        found = PromptSet(("x",) * n, tuple(groups), ((0, 0),) * n)
        for group in "abc":
            assert list(found.members(group)) == [i for i in range(n) if groups[i] == group]


def test_number_sequences_count_in_digits_and_in_words():
    found = NumberSequences(start=9, count=2, length=3, step=2).load()
    assert found.texts == ("9 11 13", "10 12 14", "nine eleven thirteen", "ten twelve fourteen")
    assert found.groups == ("digits", "digits", "words", "words")
    with pytest.raises(ConfigError, match="lead to -2 … 48; words reach from 0 to"):
        NumberSequences(start=1, step=-1)
    with pytest.raises(ConfigError, match="words reach from 0 to 999999999999"):
        NumberSequences(start=10**12)
    with pytest.raises(ConfigError, match="count must be at least 1"):
        NumberSequences(count=0)


def test_number_words_against_known_spellings():
    known = {
        0: "zero",
        13: "thirteen",
        20: "twenty",
        42: "forty-two",
        100: "one hundred",
        815: "eight hundred fifteen",
        1000: "one thousand",
        90_021: "ninety thousand twenty-one",
        7_000_300: "seven million three hundred",
    }
    assert {n: number_words(n) for n in known} == known
    with pytest.raises(ValueError, match="not -1"):
        number_words(-1)


def test_minimal_pairs_differ_in_the_target_alone():
    source = PROMPTS.build(
        {
            "name": "minimal_pairs",
            "templates": ["{who} met {slot} {where}.", "Give {slot} {{that}}."],
            "slot": {"m": ["him"], "f": ["her"]},
            "fillers": {"who": ["We", "They"], "where": ["here", "there", "in {x}"]},
        }
    )
    found = source.load()
    assert len(found) == 2 * (2 * 3 + 1)
    assert "They met her in {x}." in found.texts
    assert found.texts[6] == "Give him {that}."
    for i, j in zip(found.members("m"), found.members("f"), strict=True):
        (a, b), (c, d) = found.targets[i], found.targets[j]
        assert (found.texts[i][a:b], found.texts[j][c:d]) == ("him", "her")
        assert found.texts[i][:a] + found.texts[i][b:] == found.texts[j][:c] + found.texts[j][d:]


def test_the_ith_words_of_all_groups_belong_together():
    source = PROMPTS.build(
        {
            "name": "minimal_pairs",
            "templates": ["The {size} {slot}.", "A {slot} {where}."],
            "slot": {"one": ["dog", "cat"], "many": ["dogs", "cats"]},
            "fillers": {"size": ["small", "old"], "where": ["here"]},
        }
    )
    found = source.load()
    pairs = zip(found.members("one"), found.members("many"), strict=True)
    assert [(found.texts[i], found.texts[j]) for i, j in pairs] == [
        ("The small dog.", "The small dogs."),
        ("The old dog.", "The old dogs."),
        ("The small cat.", "The small cats."),
        ("The old cat.", "The old cats."),
        ("A dog here.", "A dogs here."),
        ("A cat here.", "A cats here."),
    ]
    assert found.columns["size"] == ("small", "old", "small", "old", "", "") * 2
    assert found.columns["where"] == ("", "", "", "", "here", "here") * 2
    assert found.columns["slot"] == ("dog", "dog", "cat", "cat", "dog", "cat") * 2


CONTRASTS = {
    "him_her": ("him", "her"),
    "him_her_them": ("him", "her", "them"),
    "number": ("singular", "plural"),
    "tense": ("present", "past"),
    "negation": ("negated", "affirmed"),
}


@pytest.mark.parametrize("name", CONTRASTS)
def test_members_of_a_contrast_differ_in_the_target_alone(name):
    found = PROMPTS.build(OmegaConf.load(CONF / "prompts" / f"{name}.yaml")).load()
    assert found.group_names == CONTRASTS[name]
    members = [found.members(group) for group in found.group_names]
    assert len(members[0]) >= 54
    assert len(set(found.texts)) == len(found)
    seen_before = set()
    for together in zip(*members, strict=True):
        texts = [found.texts[i] for i in together]
        spans = [found.targets[i] for i in together]
        before = {text[:start] for text, (start, _) in zip(texts, spans, strict=True)}
        after = {text[end:] for text, (_, end) in zip(texts, spans, strict=True)}
        words = {text[slice(*span)] for text, span in zip(texts, spans, strict=True)}
        assert len(before) == len(after) == 1
        assert len(words) == len(together)
        assert not any(set(side.lower().split()) & words for side in before | after)
        # All that a causal model has read at the target.
        seen_before.add((*before, *sorted(words)))
        for column in found.columns.values():
            assert len({column[i] for i in together}) == 1
    assert len(seen_before) >= 54


@pytest.mark.parametrize("name", ["him_her", "him_her_them"])
def test_pronouns_have_enough_sentences_before_them_and_none_gives_them_away(name):
    found = PROMPTS.build(OmegaConf.load(CONF / "prompts" / f"{name}.yaml")).load()
    before = {text[:start] for text, (start, _) in zip(found.texts, found.targets, strict=True)}
    assert len(before) >= 54
    gendered = set("he him his himself she her hers herself mr mrs man woman boy girl".split())
    assert not any(set(text.lower().split()) & gendered for text in before)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"templates": ["no slot"]}, "must name {slot} exactly once"),
        ({"templates": ["{slot} and {slot}"]}, "must name {slot} exactly once"),
        ({"templates": ["{slot} {plce}"], "fillers": {"place": ["x"]}}, "did you mean 'place'"),
        ({"templates": ["{slot"]}, "expected '}'"),
        ({"templates": ["{slot:d}"]}, "braces hold a plain name"),
        ({"templates": ["{slot!r}"]}, "braces hold a plain name"),
        ({"templates": ["{slot} {}"]}, "braces hold a plain name"),
        ({"templates": ["{slot} {x}"], "fillers": {"x": []}}, "fillers.x has no word"),
        ({"templates": ["{slot}"], "fillers": {"slot": ["x"]}}, "fillers.slot is taken"),
        ({"templates": ["{slot}"], "fillers": {"text": ["x"]}}, "fillers.text is taken"),
        ({"templates": ["{slot}"], "slot": {"a": ["x", "z"], "b": ["y"]}}, r"2 \(a\), 1 \(b\)"),
        ({"templates": ["{slot}"], "slot": {"a": [], "b": []}}, "slot.a has no word"),
        ({"templates": ["{slot}"], "slot": {"a": ["put"], "b": ["put"]}}, "'put' is the word of"),
        ({"templates": ["{slot}"], "slot": {}}, "set is empty"),
    ],
)
def test_faulty_templates_are_refused(fields, said):
    with pytest.raises(ConfigError, match=said):
        PROMPTS.build({"name": "minimal_pairs", "slot": {"a": ["x"], "b": ["y"]}, **fields}).load()


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_files_keep_text_as_text(tmp_path, ending):
    table = pd.DataFrame({"sentence": ["007 {NA}", "1.0", "x"], "kind": ["b", "a", "b"]})
    path = tmp_path / f"prompts.{ending}"
    if ending == "csv":
        table.to_csv(path, index=False)
    elif ending == "jsonl":
        table.to_json(path, lines=True, orient="records")
    else:
        table.to_parquet(path)
    found = PromptFile(path=str(path), text_column="sentence", group_column="kind").load()
    assert found.texts == ("007 NA", "x", "1.0")
    assert found.groups == ("b", "b", "a")
    assert found.targets[0] == (4, 6)
    ungrouped = PromptFile(path=str(path), text_column="sentence", group_column="").load()
    assert ungrouped.groups == ("all",) * 3


def test_a_text_file_is_one_group(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("\ufefffirst {line}\r\n\nsec\u2028ond\n", encoding="utf-8", newline="")
    found = PromptFile(path=str(path)).load()
    assert found.texts == ("first line", "sec\u2028ond")
    assert found.targets[0] == (6, 10)


def test_faulty_files_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("text,grp\nx,y\n")
    (tmp_path / "b.csv").write_text("text,group\nx,y\n,z\n")
    (tmp_path / "c.jsonl").write_text("{broken")
    (tmp_path / "comma.csv").write_text("text,group\nI saw him, and left,x\n")
    (tmp_path / "short.csv").write_text("text,group\nalone\n")
    (tmp_path / "list.jsonl").write_text('{"text": ["a", "b"], "group": "x"}\n')
    (tmp_path / "twice.csv").write_text("text,text,group\na,b,x\n")
    (tmp_path / "half.jsonl").write_text('{"text": "\\ud800 a", "group": "x"}\n')
    (tmp_path / "deep.jsonl").write_text("[" * 100_000 + "\n")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "brace.txt").write_text("a {b\n")
    (tmp_path / "bare.jsonl").write_text('"a"\n')
    (tmp_path / "d.docx").touch()
    (tmp_path / "latin.txt").write_bytes("caf\u00e9".encode("latin-1"))
    for name, said in {
        "none.csv": "no file at",
        "a.csv": "row 1 of a.csv has no column 'group'; did you mean 'grp'",
        "b.csv": "row 2 of b.csv has '', which is not a text, as its text",
        "comma.csv": "row 1 has more or fewer cells than the header; quote texts",
        "short.csv": "row 1 has more or fewer cells",
        "list.jsonl": "which is not a text, as its text",
        "twice.csv": "two columns have the same name",
        "half.jsonl": "is not valid Unicode text",
        "deep.jsonl": "deep.jsonl cannot be read",
        "empty.txt": "^prompts: group 'all' has no prompt",
        "brace.txt": "^prompts: 'a {b': mark one target",
        "bare.jsonl": "each line must be an object",
        "latin.txt": "latin.txt cannot be read: 'utf-8' codec",
        "c.jsonl": "cannot be read",
        "d.docx": r"the ending of d.docx cannot be '\.docx'",
    }.items():
        with pytest.raises(ConfigError, match=said):
            PromptFile(path=str(tmp_path / name)).load()


def test_counting_goes_further_with_each_prompt():
    found = Counting(start=1, first_end=2, last_end=3).load()
    assert found.texts == ("1 2", "1 2 3", "one two", "one two three")
    assert found.columns == {"number": (2, 3, 2, 3)}
    assert found.numeric_columns == ("number",)
    with pytest.raises(ConfigError, match="must rise from 0 to 999999999999, not 4, 3, 10"):
        Counting(start=4)


def test_what_else_is_known_of_a_prompt_is_part_of_what_it_is():
    plain, known = from_marked({"a": ["x", "y"]}), from_marked({"a": ["x", "y"]}, {"age": [1, 2]})
    assert plain != known
    assert plain.content_hash != known.content_hash
    assert list(known.table()["age"]) == [1, 2]
    with pytest.raises(ValueError, match="each column needs 2 values"):
        from_marked({"a": ["x", "y"]}, {"age": [1]})


def test_a_files_further_columns_follow_their_prompts(tmp_path):
    rows = ["text,group,age,town,note", "x,b,1,Ulm,", "y,a,2.5,Bonn,so", "z,b,3,Trier,"]
    (tmp_path / "p.csv").write_text("\n".join(rows))
    found = PromptFile(str(tmp_path / "p.csv")).load()
    assert found.texts == ("x", "z", "y")
    # A column with an empty cell is left out.
    assert found.columns == {"age": (1, 3, 2.5), "town": ("Ulm", "Trier", "Bonn")}
    assert found.numeric_columns == ("age",)


def test_a_column_is_numbers_texts_or_left_out(tmp_path):
    nan, inf = float("nan"), float("inf")
    cells = {
        "numbers": [3, 2.5, "1e3"],
        "texts": ["007", 7, "x"],
        "truths": [True, False, True],
        "gap": [1, None, 3],
        "blank": ["x", "", "y"],
        "lists": [[1], [2], [3]],
        "undefined": [1, nan, 2],
        "infinite": [1, inf, 2],
    }
    rows = [{"text": f"t{i}", "group": "ab"[i % 2], "late": i} for i in range(3)]
    del rows[0]["late"]
    for name, column in cells.items():
        for row, cell in zip(rows, column, strict=True):
            row[name] = cell
    path = tmp_path / "p.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    found = PromptFile(str(path)).load()
    assert found.texts == ("t0", "t2", "t1")
    assert found.columns == {
        "numbers": (3.0, 1000.0, 2.5),
        "texts": ("007", "x", "7"),
        "truths": ("True", "True", "False"),
    }
    assert found.numeric_columns == ("numbers",)


def test_a_table_that_pandas_wrote_is_read_without_its_index(tmp_path):
    table = pd.DataFrame(
        {"text": ["a", "b"], "group": ["x", "y"], "id": [5, 6], "gap": ["u", None]}
    )
    table["kind"] = pd.Categorical(["p", "q"])
    table.set_index("id").to_parquet(tmp_path / "p.parquet")
    found = PromptFile(str(tmp_path / "p.parquet")).load()
    # A column with an empty cell is left out.
    assert found.columns == {"kind": ("p", "q")}
    table.iloc[1:].set_index("gap").drop(columns="text").to_parquet(tmp_path / "q.parquet")
    with pytest.raises(ConfigError, match=r"row 1 of q.parquet has no column 'text'"):
        PromptFile(str(tmp_path / "q.parquet")).load()


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "txt"])
def test_memory_holds_the_prompts_and_not_the_file(tmp_path, ending):
    n = 20_000
    texts = [f"the {{heron}} waits at {i:05}" for i in range(n)]
    table = pd.DataFrame({"text": texts, "group": ["a", "b"] * (n // 2), "note": ["x" * 500] * n})
    # Left out for the one row without a note, as all cells are once it is known.
    table.loc[0, "note"] = ""
    path = tmp_path / f"p.{ending}"
    if ending == "csv":
        table.to_csv(path, index=False)
    elif ending == "jsonl":
        table.to_json(path, lines=True, orient="records")
    elif ending == "parquet":
        table.to_parquet(path)
    else:
        path.write_text("\n".join(texts))
    # What is imported on the way is no prompt.
    PromptFile(str(path)).load()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        found = PromptFile(str(path)).load()
        held, peak = (size - before for size in tracemalloc.get_traced_memory())
    finally:
        tracemalloc.stop()
    assert len(found) == n
    # A string of 27 letters takes 76 bytes, and what a prompt is made of is pointed to thrice.
    assert held < n * (76 + 3 * 8) * 1.2
    assert peak < 2 * held
    assert len({id(group) for group in found.groups}) == len(found.group_names)
    assert len({id(target) for target in found.targets}) == 1
