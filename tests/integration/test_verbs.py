"""`interp list`, `show` and `new`, and what a shell completes."""

import os
import pty
import re
import select
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from interp.cli.commands import completion, new
from interp.cli.main import VERBS
from interp.cli.overrides import CONF
from interp.core.errors import ConfigError
from interp.core.fields import fields_of
from interp.metrics import METRICS
from interp.models import ModelSource

ROOT = Path(__file__).parents[2]
GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != "hydra")
PRESETS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
HEAVY = ("torch", "transformers", "mlflow", "sklearn", "scipy", "pandas", "matplotlib")


@pytest.fixture
def interp(monkeypatch, tmp_path, command_line):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("COLUMNS", "1000")
    return command_line


@pytest.fixture
def own(tmp_path):
    """A folder of one's own: a preset, metrics, a launcher."""
    folder = tmp_path / "own"
    for place, text in {
        "experiment/mine.yaml": "# @package _global_\n# Is it so?\n# Perhaps.\n#\n# More.\nseed: 3",
        "experiment/bare.yaml": "# @package _global_\nseed: 3",
        "metric/plain.yaml": "name: cosine",
        "metric/cosine.yaml": "# Another one.\nname: linear_cka\ndebiased: true",
        "hydra/launcher/cluster.yaml": "# On my cluster.\n_target_: nowhere.Launcher",
    }.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(f"{text}\n")
    return str(folder)


def refused(answer):
    status, out, err = answer
    assert (status, out) == (1, "")
    (line,) = err.splitlines()
    return line


# list


def test_the_groups_are_listed_as_config_yaml_says(interp):
    status, out, _ = interp("list")
    assert status == 0
    said = (CONF / "config.yaml").read_text(encoding="utf-8")
    for group in GROUPS:
        comment = re.search(rf"^  - {group}: .*?# (.+)$", said, re.M)[1]
        count = len(list((CONF / group).glob("*.yaml")))
        assert re.search(rf"^{group} +{count}  \S+ +{re.escape(comment)}$", out, re.M)
    assert re.search(r"^model@reference +\d+ ", out, re.M)


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_s_choices_are_listed_a_line_each_with_what_they_are(group, interp):
    status, out, _ = interp("list", group)
    assert status == 0
    lines = [line for line in out.splitlines()[1:] if line]
    files = sorted((CONF / group).glob("*.yaml"), key=lambda file: file.stem)
    assert [line.split()[0] for line in lines] == [file.stem for file in files]
    descriptions = {re.split(r"  +", line, maxsplit=1)[1] for line in lines}
    first = [file.read_text(encoding="utf-8").splitlines()[group == "experiment"] for file in files]
    assert descriptions == {line.removeprefix("# ") for line in first}
    assert len(descriptions) == len(files), "no two are described alike"


def test_the_settings_of_a_choice_are_listed_with_the_words_of_its_class(interp):
    status, out, _ = interp("list", "metric=mutual_knn")
    assert status == 0
    (field,) = fields_of(METRICS["mutual_knn"])
    assert re.search(rf"^k +10 +int +{re.escape(field.description)}$", out, re.M)
    _, out, _ = interp("list", "prompts=file")
    assert re.search(r"^path +needs a value +str +the file\.$", out, re.M)
    _, out, _ = interp("list", "model@reference=tiny")
    assert re.search(r'^architecture +"gpt2" +str', out, re.M)
    _, out, _ = interp("list", "experiment=rotation")
    assert out.startswith("experiment=rotation: ")
    assert len(out.splitlines()) == 1
    said = refused(interp("list", "metric=mutual_kn"))
    assert said.startswith("interp: metric cannot be 'mutual_kn'; did you mean 'mutual_knn'?")


def test_own_choices_are_listed_and_marked(interp, own):
    for arguments in (
        ["list", "experiment", "--config-dir", own],
        ["-cd", own, "list", "experiment"],
    ):
        _, out, _ = interp(*arguments)
        assert re.search(r"^mine +own +Is it so\? Perhaps\.$", out, re.M)
        assert re.search(r"^him_her +Which neurons", out, re.M)
    _, out, _ = interp("list", "metric", f"--config-dir={own}")
    # Without a comment the class speaks.
    assert re.search(r"^plain +own +Mean cosine similarity of paired points\.$", out, re.M)
    assert re.search(r"^cosine +Mean cosine between paired points\.$", out, re.M)
    assert re.search(r"^cosine +own, hidden by the project's +Another one\.$", out, re.M)
    _, out, _ = interp("list", "hydra/launcher", "--config-dir", own)
    assert re.search(r"^cluster +own +On my cluster\.$", out, re.M)


def test_a_choice_that_is_said_to_be_hidden_is_not_what_runs(own):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=[f"hydra.searchpath=['file://{own}']"])
    assert config.metric.name == "cosine"


def test_a_list_is_as_wide_as_the_terminal(interp, monkeypatch):
    for group, width in (("", 80), ("model", 60), ("experiment", 60)):
        monkeypatch.setenv("COLUMNS", str(width))
        _, out, _ = interp("list", *[group] * bool(group))
        assert max(map(len, out.splitlines())) <= width
    start = out.splitlines()[2].index("When is")
    for line in out.splitlines()[2:]:
        assert line[start - 1] == " "
        assert line[start] != " "


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["metrc"], "there is no group 'metrc'; did you mean 'metric'? (known: model, prompts, "),
        (["metric", "model"], "list: unrecognized arguments: model"),
        (["--config-dir", "/none"], "Additional config directory '/none' not found"),
    ],
)
def test_what_cannot_be_listed_is_told_in_one_line(arguments, said, interp):
    assert f"interp: {said}" in refused(interp("list", *arguments))


@pytest.mark.parametrize("verb", ["list", "list metric", "--help", "-sc query=bash"])
def test_looking_imports_nothing_heavy(verb):
    code = f"import sys; sys.argv = ['interp', *{verb.split()}]\n"
    code += "from interp.cli.main import main; main(); print('\\n', *sys.modules)"
    environment = {**os.environ, "COMP_LINE": "interp metric=co"}
    said = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment,
    )
    loaded = said.stdout.splitlines()[-1].split()
    assert "interp.cli.choices" in loaded
    assert not set(HEAVY) & set(loaded)


def test_a_reader_may_leave_before_the_end():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "interp", "list", "prompts"]
    said = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    os.close(writing)
    assert (said.returncode, said.stderr) == (0, "")


# show


@pytest.fixture
def no_weights(monkeypatch):
    def load(_, **__):
        raise AssertionError("weights were loaded")

    monkeypatch.setattr(ModelSource, "load", load)


def test_show_says_who_chose_what_and_leaves_nothing(interp, no_weights):
    status, out, err = interp(
        *(
            "show",
            "experiment=him_her_gpt2_medium",
            "model=tiny",
            "position=target",
            "hook.layers=1",
        ),
        "analysis.permutations=19",
    )
    assert (status, err) == (0, "")
    assert out.startswith("experiment=him_her_gpt2_medium: Which neurons of GPT-2 medium's MLP in ")
    assert re.search(r"^asks +neuron_clusters \(preset\): A test of every neuron ", out, re.M)
    assert re.search(r"^null +analysis.permutations=19: permutations of the nulls; ", out, re.M)
    assert re.search(r"^reads +216 prompts \(him 108, her 108\)$", out, re.M)
    assert re.search(r"^loads +random gpt2 for a forward pass, unless the store has ", out, re.M)
    for group, choice, origin in (
        ("model", "tiny", "command line"),
        ("prompts", "him_her", "preset"),
        ("position", "target", "command line"),
        ("clustering", "kmeans", "preset"),
    ):
        assert re.search(rf"^{group} +{choice} +{origin} +\S.*\.$", out, re.M)
    assert re.search(r"^metric +cosine +default +unused: neuron_clusters asks for none$", out, re.M)
    assert re.search(r"^command line +analysis\.permutations=19$", out, re.M)
    assert re.search(r"^command line +hook\.layers=1$", out, re.M)
    assert len(out.splitlines()) <= 25
    assert list(Path.cwd().iterdir()) == []


def test_show_tells_values_of_a_preset_from_those_given(interp, own, no_weights):
    _, out, _ = interp("show", "--config-dir", own, "experiment=mine", "model=tiny", "rerun=true")
    assert "experiment=mine: Is it so? Perhaps." in out
    assert re.search(r"^preset +seed=3$", out, re.M)
    assert re.search(r"^command line +rerun=true$", out, re.M)
    assert "reduction.seed" not in out


@pytest.mark.parametrize(
    ("arguments", "loads"),
    [
        (["experiment=letters"], "the weights of random gpt2"),
        (["analysis=vocabulary_alignment"], "the weights of random gpt2; the same of random gpt2"),
        (["reference_draws=3"], "the same of random gpt2, drawn 3 times"),
    ],
)
def test_show_says_what_is_loaded(arguments, loads, interp, no_weights):
    reference = [] if "experiment=letters" in arguments else ["model@reference=tiny"]
    # Two models of the same seed are no pair, which a run would say too.
    _, out, _ = interp("show", "model=tiny", *reference, *arguments)
    assert re.search(rf"^loads .*{re.escape(loads)}$", out, re.M)


def test_show_alone_is_the_default_experiment(interp, no_weights):
    _, out, _ = interp("show", "prompts.count=6", "model=tiny")
    assert out.startswith("No preset: the default experiment, changed on the command line\n")
    assert re.search(r"^asks +layer_similarity \(default\): One similarity per layer ", out, re.M)
    assert re.search(r"^reads +12 prompts \(digits 6, words 6\)$", out, re.M)


@pytest.mark.parametrize(
    "mistake",
    [
        "metric=cosin",
        "seeed=3",
        "metric=linear_cka metric.debaised=true",
        "metric=[cosine,linear_cka]",
        "metric=cosine,linear_cka",
        "outputs=",
        "foo",
        "experiment=him_hr",
        "hook.layers=some",
        "reduction=pca analysis=token_similarity",
        "imports=[no_such_module]",
        "--config-dir /none",
    ],
)
def test_show_answers_a_mistake_as_a_run_does(mistake, interp, no_weights):
    options = [*mistake.split(), "model=tiny"] if "model" not in mistake else mistake.split()
    said = refused(interp("show", *options))
    assert said == refused(interp(*options))


def test_show_ends_with_what_the_analysis_would_refuse(interp, no_weights):
    status, out, err = interp("show", "model=tiny", "position=target")
    assert status == 1
    assert "position" in out
    assert err == interp("model=tiny", "position=target")[2]
    assert err.startswith("interp: position: no target is marked in '1 2 3 4'")


def test_show_counts_the_jobs_of_a_sweep(interp, no_weights):
    small = ["show", "-m", "model=tiny", "prompts.count=30"]
    _, out, _ = interp(*small, "metric=cosine,rsa", "seed=0,1,2")
    assert out.startswith("A sweep of 6 jobs: metric=cosine,rsa × seed=0,1,2. The first of them:\n")
    assert re.search(r"^hydra/launcher +basic +default", out, re.M)
    _, out, _ = interp(*small, "seed=range(0,20)")
    assert out.startswith("A sweep of 20 jobs: seed=range(0,20) (20 values). ")
    said = refused(interp(*small, "analysis.alpha=0.1,2"))
    assert said == "interp: analysis.alpha=2: analysis.alpha must lie between 0 and 1, not 2.0"
    said = refused(interp(*small, "metric=cosine,cosin"))
    assert said.startswith("interp: metric cannot be 'cosin'; did you mean 'cosine'?")
    said = refused(interp("show", "--cfg", "job"))
    assert said == "interp: show: unrecognized arguments: --cfg"


# new


def composed_with(folder, *overrides):
    where = f"hydra.searchpath=['file://{folder}']"
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=[where, *overrides])


def without_marks(text):
    """Take the # off all choices and values that stand there as comments."""
    text = re.sub(r"^  # - ", "  - ", text, flags=re.M)
    before, analysis, after = text.partition("# analysis:\n")
    assert analysis
    return f"{before}analysis:\n{re.sub('^# ', '', after, flags=re.M)}"


@pytest.mark.parametrize("source", ["", *PRESETS])
def test_a_new_preset_is_its_source_also_where_comments_are_taken_off(source, interp, tmp_path):
    folder = tmp_path / "mine" / "presets"
    options = [f"from={source}"] if source else []
    status, out, _ = interp("new", "experiment", "question", *options, "--config-dir", str(folder))
    assert status == 0
    assert out.splitlines()[0] == f"written  {folder}/experiment/question.yaml"
    assert f"run      interp --config-dir {folder} experiment=question" in out
    (file,) = folder.rglob("*.yaml")
    text = file.read_text(encoding="utf-8")
    expected = composed_with(folder, *[f"experiment={source}"] * bool(source))
    assert composed_with(folder, "experiment=question") == expected
    for group in {*GROUPS, "model@reference"} - {"experiment"}:
        assert re.search(rf"^  (# )?- override /{group}: [\w.-]+ +# \S", text, re.M)
    for field in set(expected.analysis) - {"name"}:
        assert re.search(rf"^#   {field}: .*\S  +# \S", text, re.M)
    if source:
        chosen = (CONF / "experiment" / f"{source}.yaml").read_text(encoding="utf-8")
        for line in re.findall(r"^  - override .*", chosen, re.M):
            assert line in text

    file.write_text(without_marks(text), encoding="utf-8")
    everything = composed_with(folder, "experiment=question")
    assert OmegaConf.to_container(everything) == OmegaConf.to_container(expected)


def test_a_new_preset_in_a_checkout_stands_beside_the_others(tmp_path, capsys):
    conf = shutil.copytree(CONF, tmp_path / "conf")
    new.serve(conf, ["experiment", "question-2", "from=rotation"])
    assert "interp experiment=question-2" in capsys.readouterr().out
    text = (conf / "experiment" / "question-2.yaml").read_text(encoding="utf-8")
    assert text.splitlines()[1].startswith("# As rotation: By what angle ")


def test_a_new_preset_keeps_what_its_source_sets_and_builds_on(interp, tmp_path):
    folder = tmp_path / "own"
    (folder / "experiment").mkdir(parents=True)
    (folder / "experiment" / "first.yaml").write_text(
        "# @package _global_\ndefaults:\n  - him_her\n  - override /model: tiny\n  - _self_\n\n"
        "# Few.\nanalysis:\n  alpha: 0.01  # strict\nseed: 4\n".replace("  - _self_\n", "")
    )
    arguments = ["new", "experiment", "second", "from=first", "--config-dir", str(folder)]
    assert interp(*arguments)[0] == 0
    text = (folder / "experiment" / "second.yaml").read_text(encoding="utf-8")
    assert "  - him_her\n" in text
    assert "# Few.\nanalysis:\n  alpha: 0.01  # strict\nseed: 4\n" in text
    assert "#   alpha" not in text
    first, second = (composed_with(folder, f"experiment={name}") for name in ("first", "second"))
    assert first == second
    assert (second.seed, second.analysis.alpha, second.model.name) == (4, 0.01, "random")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "new needs to know what: interp new experiment NAME"),
        (["experimnt", "x"], "new cannot be 'experimnt'; did you mean 'experiment'?"),
        (["experiment"], "new takes one name"),
        (["experiment", "x", "y"], "new takes one name"),
        (["experiment", "x/y"], "a preset's name is of letters, digits, _ and -, not 'x/y'"),
        (["experiment", "../x"], "a preset's name is of letters"),
        (["experiment", "him_her"], "experiment=him_her is there already: "),
        (["experiment", "mine"], "experiment=mine is there already: "),
        (["experiment", "x", "from=him_hr"], "cannot be 'him_hr'; did you mean 'him_her'?"),
        (["experiment", "x", "form=him_her"], "new takes from=PRESET, not form=him_her"),
    ],
)
def test_what_cannot_be_written_is_told_in_one_line(arguments, said, interp, own):
    before = sorted(Path(own).rglob("*"))
    assert said in refused(interp("new", *arguments, "--config-dir", own))
    assert sorted(Path(own).rglob("*")) == before


def test_an_installed_interp_writes_into_one_s_own_folder_alone():
    inside = Path(new.__file__).parents[2] / "conf"
    with pytest.raises(ConfigError, match="give --config-dir FOLDER"):
        new.serve(inside, ["experiment", "question"])


# help


def test_help_is_a_screen_that_names_verbs_and_groups(interp):
    status, out, _ = interp("--help")
    assert status == 0
    for word in (*VERBS, "compare", "rerun=true", "dry=true", "--config-dir", "-sc install=bash"):
        assert word in out
    assert max(map(len, out.splitlines())) <= 100
    assert len(out.splitlines()) <= 45
    for verb in VERBS:
        status, out, _ = interp(verb, "--help")
        assert status == 0
        assert out.startswith(f"usage: interp {verb} ")
        assert "--config-dir FOLDER" in out


def test_a_folder_of_ones_own_may_stand_before_every_verb(interp, own, tmp_path):
    before, outputs = ("--config-dir", own), f"outputs={tmp_path / 'none'}"
    assert "nothing has been logged to" in refused(interp(*before, "compare", outputs))
    status, out, _ = interp(*before, "store", outputs)
    assert (status, out.startswith("nothing is stored in")) == (0, True)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = refused(interp(*before, "ui", "experiment=mine", f"tracking.port={port}"))
    assert f"tracking.port: {port} is in use" in said
    for verb in ("compare", "store", "ui"):
        said = refused(interp("--config-dir", f"{own}s", verb))
        assert said == f"interp: Additional config directory '{own}s' not found"


# completion

COMPLETED = {
    "interp metric=co": ["metric=cosine", "metric=cosine_of_means"],
    "interp experiment=him_": [
        *("experiment=him_her", "experiment=him_her_gpt2_medium", "experiment=him_her_similarity")
    ],
    "interp -m metric=cosine,cosine_": ["metric=cosine,cosine_of_means"],
    "interp model@reference=minilm": [
        *("model@reference=minilm", "model@reference=minilm_untrained")
    ],
    "interp met": ["metric.", "metric="],
    "interp metric=linear_cka metric.de": ["metric.debiased="],
    "interp metric=linear_cka metric.debiased=": ["metric.debiased=false", "metric.debiased=true"],
    "interp -m metric=linear_cka,cosine metric.": ["metric.debiased="],
    "interp hook.la": ["hook.layers="],
    "interp metric=cosin metric": ["metric.", "metric="],
    "interp li": ["list"],
    "interp seed=1 li": [],
    "interp list me": ["metric"],
    "interp list metric ": [],
    "interp show experiment=rot": ["experiment=rotation", "experiment=rotation_gpt2_xl"],
    "interp new ": ["experiment"],
    "interp new experiment x from=let": ["from=letters"],
    "interp store v": ["verify"],
    "interp ui tracking.p": ["tracking.port="],
    "interp compare ": ["outputs=", "tracking.port=", "tracking.uri="],
    "interp compare 1a2b3c tracking.u": ["tracking.uri="],
    "interp --config-dir OWN experiment=m": [
        *("experiment=mine", "experiment=modular_addition", "experiment=modular_addition_training")
    ],
    "interp --config-dir OWN/e": ["OWN/experiment/"],
    "interp --config-dir OWN list experiment=": [],
    "interp outputs=OWN/h": ["outputs=OWN/hydra/"],
    "interp --cf": ["--cfg"],
    "interp --cfg ": ["all", "hydra", "job"],
    "python -m interp metric=cosine_": ["metric=cosine_of_means"],
    "OMP_NUM_THREADS=1 interp li": ["list"],
    "interp hydra/launcher=ba": ["hydra/launcher=basic"],
}


@pytest.mark.parametrize("line", COMPLETED)
def test_a_word_is_completed(line, own):
    found = completion.answers(line.replace("OWN", own), CONF, VERBS)
    assert found == [answer.replace("OWN", own) for answer in COMPLETED[line]]


def test_nothing_typed_offers_verbs_and_groups():
    found = completion.answers("interp ", CONF, VERBS)
    keys = [f"{group}=" for group in (*GROUPS, "model@reference")]
    assert {*VERBS, *keys, "seed=", "rerun="} <= set(found)
    assert not any(answer.endswith(".") for answer in found)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["install=bsh"], "-sc install cannot be 'bsh'; did you mean 'bash'?"),
        (["instal=bash"], "-sc cannot be 'instal'; did you mean 'install'?"),
    ],
)
def test_an_unknown_shell_is_told_in_one_line(arguments, said, interp):
    assert said in refused(interp("-sc", *arguments))


@pytest.fixture
def program(tmp_path):
    """A console script `interp` as pip writes it, first on the path."""
    script = tmp_path / "bin" / "interp"
    script.parent.mkdir()
    script.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from interp.cli.main import main\nmain()\n"
    )
    script.chmod(0o755)
    path = os.pathsep.join([str(script.parent), str(Path(sys.executable).parent)])
    return {**os.environ, "PATH": f"{path}{os.pathsep}{os.environ['PATH']}", "TERM": "dumb"}


class Terminal:
    """An interactive bash that a test types into."""

    def __init__(self, environment):
        self.pid, self.screen = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            bash = ["bash", "--norc", "--noprofile", "-i"]
            os.execvpe(bash[0], bash, environment)

    def type(self, keys, until):
        os.write(self.screen, keys.encode())
        seen, deadline = "", time.monotonic() + 60
        while until not in seen:
            assert time.monotonic() < deadline, f"{until!r} is not in {seen!r}"
            if select.select([self.screen], [], [], 0.1)[0]:
                seen += os.read(self.screen, 65536).decode(errors="replace")
        return seen

    def close(self):
        os.close(self.screen)
        os.waitpid(self.pid, 0)


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
@pytest.mark.parametrize(
    ("install", "typed", "completed"),
    [
        ("interp", "interp metric=linear_c", "ka "),
        ("interp", "interp show -m model@reference=modular_addition_", "untrained "),
        ("interp", "interp hook.lay", "ers="),
        ("interp", "interp list metric pypro", "ject.toml "),
        ("python -m interp", "python -m interp metric=cosine,linear_p", "redictivity "),
        ("python -m interp", "python pypro", "ject.toml "),
    ],
)
def test_a_real_bash_completes(install, typed, completed, program):
    terminal = Terminal(program)
    try:
        # Where words end is left as it was for all other programs.
        terminal.type(
            f'before="$COMP_WORDBREAKS"; eval "$({install} -sc install=bash)"; '
            f'complete -p {install.split()[0]} && [ "$before" == "$COMP_WORDBREAKS" ] && '
            'echo instal""led\n',
            until="installed",
        )
        # The tab is what a user types; whatever the line is then shows as it is echoed.
        seen = terminal.type(f"{typed}\t", until=completed)
        assert completed in seen
        seen = terminal.type("\x01echo '<\x05>' en''d\n", until="end\r\n")
        assert f"<{typed}{completed}>" in seen
    finally:
        terminal.close()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("action", ["install", "uninstall"])
def test_what_a_shell_is_given_can_be_read_by_it(shell, action, interp, tmp_path):
    status, out, _ = interp("-sc", f"{action}={shell}")
    assert status == 0
    assert "interp" in out
    assert "@" not in re.sub(r"\$\{\(@f\)|\[@\]", "", out)
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell}")
    script = tmp_path / "script"
    script.write_text(out)
    subprocess.run([shell, "-n", str(script)], check=True)
