"""Training: against PyTorch's own loop over the whole forward, and against being interrupted."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir
from safetensors.torch import load_file

from interp.cli.main import CONF
from interp.core.errors import ConfigError
from interp.experiments.modular_addition import training
from interp.experiments.modular_addition.model import ModularArithmetic
from interp.experiments.modular_addition.progress_measures import ablated_losses, cross_entropy
from interp.experiments.modular_addition.prompts import ModularArithmetic as Prompts
from interp.runner.analysis import ANALYSES
from interp.runner.run import run

SMALL = ModularArithmetic(modulus=11, hidden_size=16, heads=2, head_dim=8, neurons=24, seed=1)
PAIRS = Prompts(modulus=11, train_fraction=0.5).pairs()
SETTINGS = training.OptimizerSettings(1e-2, 0.5, (0.9, 0.98))
SIZES = [
    "model=modular_addition_untrained",
    "prompts=modular_addition",
    "prompts.modulus=11",
    "prompts.train_fraction=0.5",
    "model.hidden_size=16",
    "model.heads=2",
    "model.head_dim=8",
    "model.neurons=24",
    "analysis=modular_addition_training",
    "analysis.interval=10",
]


def composed(outputs, *overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=[*SIZES, f"outputs={outputs}", *overrides])


def test_epochs_are_those_of_a_plain_loop_over_the_whole_forward():
    state = training.begin(SMALL.load(head=True), SETTINGS)
    plain = training.begin(SMALL.load(head=True), SETTINGS).model
    optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-2, weight_decay=0.5, betas=(0.9, 0.98))
    a, b = (torch.from_numpy(numbers[PAIRS.train]) for numbers in (PAIRS.a, PAIRS.b))
    answers = torch.from_numpy(PAIRS.answers[PAIRS.train])
    ids = torch.stack([a, b, torch.full_like(a, 11)], dim=1)
    for _ in range(30):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(plain(ids).logits[:, -1], answers).backward()
        optimizer.step()
    calls = []
    training.advance(state, PAIRS, 30, lambda: calls.append(1))
    assert state.epoch == len(calls) == 30
    for name, weight in plain.named_parameters():
        found = state.model.get_parameter(name)
        torch.testing.assert_close(found, weight, rtol=0, atol=2e-4, msg=name)


def test_a_model_in_training_is_a_copy():
    model = SMALL.load(head=True)
    before = {name: weight.clone() for name, weight in model.head.state_dict().items()}
    training.advance(training.begin(model, SETTINGS), PAIRS, 3, lambda: None)
    assert all(torch.equal(before[n], w) for n, w in model.head.state_dict().items())


def test_losses_and_accuracies_are_those_of_the_logits():
    state = training.begin(SMALL.load(head=True), SETTINGS)
    training.advance(state, PAIRS, 40, lambda: None)
    found = training.evaluate(state.model, PAIRS)
    losses = torch.nn.functional.cross_entropy(
        torch.from_numpy(found.logits).double().flatten(0, 1),
        torch.from_numpy(PAIRS.answers.flatten()),
        reduction="none",
    ).numpy()
    np.testing.assert_allclose(
        cross_entropy(found.logits, PAIRS.answers).flatten(), losses, rtol=1e-10
    )
    right = found.logits.argmax(-1) == PAIRS.answers
    for part, chosen in (("train", PAIRS.train), ("test", ~PAIRS.train)):
        assert getattr(found, f"{part}_loss") == pytest.approx(losses[chosen.flatten()].mean())
        assert getattr(found, f"{part}_accuracy") == pytest.approx(right[chosen].mean())


def test_training_goes_on_from_where_it_was_saved_to_the_last_bit(tmp_path):
    whole = training.begin(SMALL.load(head=True), SETTINGS)
    training.advance(whole, PAIRS, 50, lambda: None)
    half = training.begin(SMALL.load(head=True), SETTINGS)
    training.advance(half, PAIRS, 20, lambda: None)
    training.save(half, [{"epoch": 20, "train_loss": 0.1}], tmp_path)
    again = training.begin(SMALL.load(head=True), SETTINGS)
    assert training.restore(again, tmp_path) == [{"epoch": 20, "train_loss": 0.1}]
    assert again.epoch == 20
    training.advance(again, PAIRS, 30, lambda: None)
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], weight), name


def test_what_has_not_begun_is_saved_and_restored_too(tmp_path):
    state = training.begin(SMALL.load(head=True), SETTINGS)
    training.save(state, [], tmp_path)
    again = training.begin(SMALL.load(head=True), SETTINGS)
    assert training.restore(again, tmp_path) == []
    training.advance(again, PAIRS, 2, lambda: None)
    assert again.epoch == 2


def test_snapshots_are_the_weights_on_the_way_and_leave_the_model_as_it_is(tmp_path):
    state = training.begin(SMALL.load(head=True), SETTINGS)
    kept = {}
    for _ in range(3):
        training.save(state, [], tmp_path)
        kept[state.epoch] = state.model.lm_head.weight.detach().clone()
        training.advance(state, PAIRS, 5, lambda: None)
    last = state.model.lm_head.weight.detach().clone()
    found = {e: m.lm_head.weight.detach().clone() for e, m in training.snapshots(state, tmp_path)}
    assert found.keys() == kept.keys()
    assert all(torch.equal(found[epoch], weight) for epoch, weight in kept.items())
    assert torch.equal(state.model.lm_head.weight, last)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A training that ran through, and the curves that MLflow has of it."""
    outputs = tmp_path_factory.mktemp("outputs")
    outcome = run(composed(outputs, "analysis.epochs=35"), outputs / "run")
    client = outcome.store.client
    (record,) = client.search_runs([outcome.store.experiment_id("modular_addition_training")])
    return outcome, {
        name: {m.step: m.value for m in client.get_metric_history(record.info.run_id, name)}
        for name in record.data.metrics
    }


def test_curves_have_the_epoch_as_step(trained):
    outcome, curves = trained
    history = outcome.result.tables["training"].set_index("epoch")
    assert history.index.tolist() == [0, 10, 20, 30, 35]
    for name in ("train_loss", "test_accuracy", "gini_logits", "restricted_loss", "excluded_loss"):
        assert curves[f"epoch/{name}"] == pytest.approx(history[name].to_dict())
    # Before the first step all answers are alike likely.
    assert history["train_loss"].iloc[0] == pytest.approx(np.log(12), abs=0.2)


def test_the_model_is_kept_with_the_run_and_opens(trained):
    outcome, _ = trained
    assert {p.name for p in (outcome.folder / "model").iterdir()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "training.csv",
    }
    trained_on = json.loads((outcome.folder / "model" / "config.json").read_text())["trained_on"]
    assert trained_on["train_fraction"] == 0.5
    assert trained_on["epochs"] == 35
    opened = ["model=modular_addition", f"model.path={outcome.folder / 'model'}"]
    analysis = ["analysis=modular_addition"]
    base = [f"outputs={outcome.folder.parent}", "prompts=modular_addition"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        wrong = compose("config", overrides=[*base, *opened, *analysis, "prompts.modulus=11"])
        right = [*base, *opened, *analysis, "prompts.modulus=11", "prompts.train_fraction=0.5"]
        good = compose("config", overrides=right)
    with pytest.raises(ConfigError, match=r"other pairs; add prompts.train_fraction=0.5"):
        run(wrong, outcome.folder.parent / "wrong")
    found = run(good, outcome.folder.parent / "opened").result
    assert found.scalars["loss_training_pairs"] == pytest.approx(
        outcome.result.scalars["train_loss"], rel=1e-4
    )
    assert found.tables["training"].shape == outcome.result.tables["training"].shape


def test_an_interrupted_run_goes_on_and_ends_as_if_it_had_not_been(trained, tmp_path, monkeypatch):
    outcome, _ = trained
    advance, chunks = training.advance, []

    def interrupted(*arguments):
        chunks.append(1)
        if len(chunks) == 3:
            raise KeyboardInterrupt
        advance(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(training, "advance", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(composed(tmp_path, "analysis.epochs=35"), tmp_path / "killed")
    trained_epochs = []

    def counted(state, pairs, epochs, each):
        trained_epochs.append(epochs)
        advance(state, pairs, epochs, each)

    monkeypatch.setattr(training, "advance", counted)
    again = run(composed(tmp_path, "analysis.epochs=35"), tmp_path / "again")
    # What was saved at 20 is not done again.
    assert trained_epochs == [10, 5]
    expected, found = (
        load_file(o.folder / "model" / "model.safetensors") for o in (outcome, again)
    )
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())
    history, other = (o.result.tables["training"].drop(columns="seconds") for o in (outcome, again))
    pd.testing.assert_frame_equal(history, other)


def test_a_killed_process_loses_no_more_than_an_interval(tmp_path):
    overrides = [
        *SIZES,
        f"outputs={tmp_path}",
        "analysis.epochs=1000000",
        "analysis.patience=1000000",
    ]
    command = [sys.executable, "-m", "interp", *overrides]
    process = subprocess.Popen(command, cwd=Path(CONF).parent, stderr=subprocess.PIPE)
    saved: list[Path] = []
    deadline = time.monotonic() + 120
    while len(saved) < 4 and time.monotonic() < deadline and process.poll() is None:
        saved = sorted(tmp_path.glob("training/*/snapshots/*.safetensors"))
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    state = training.begin(
        ModularArithmetic(modulus=11, hidden_size=16, heads=2, head_dim=8, neurons=24).load(
            head=True
        ),
        training.OptimizerSettings(1e-3, 1.0, (0.9, 0.98)),
    )
    (folder,) = tmp_path.glob("training/*")
    history = training.restore(state, folder)
    last = int(sorted((folder / "snapshots").glob("*.safetensors"))[-1].stem)
    assert state.epoch == history[-1]["epoch"] >= last - 10
    assert state.epoch >= 20


def test_training_ends_once_every_pair_is_right_and_the_test_loss_no_longer_falls(tmp_path):
    larger = ["model.hidden_size=32", "model.head_dim=16", "model.neurons=48"]
    recipe = ["analysis.learning_rate=0.01", "analysis.weight_decay=3"]
    ends = ["analysis.epochs=3000", "analysis.patience=100", "prompts.train_fraction=0.9"]
    config = composed(tmp_path, *larger, *recipe, *ends)
    outcome = run(config, tmp_path / "run")
    history = outcome.result.tables["training"]

    def ends(at):
        until = history[: at + 1]
        before = until[until["epoch"] <= until["epoch"].iloc[-1] - 100]["test_loss"].min()
        right = until[["train_accuracy", "test_accuracy"]].iloc[-1].eq(1).all()
        return bool(right and until["test_loss"].min() > 0.9 * before)

    assert [ends(at) for at in range(len(history))] == [False] * (len(history) - 1) + [True]
    assert outcome.result.finding.startswith("Grokked: ")


@pytest.mark.parametrize("operation", ["addition", "subtraction", "multiplication"])
def test_logits_of_key_frequencies_alone_lose_everything_without_them(operation):
    pairs = Prompts(modulus=13, operation=operation).pairs()
    order, sign = pairs.arithmetic.order, pairs.arithmetic.sign
    n = len(order)
    place = np.arange(n)
    waves = sum(
        np.cos(2 * np.pi * k * (place[:, None, None] + sign * place[:, None] - place) / n)
        for k in (1, 4)
    )
    logits = np.zeros((13, 13, 14))
    logits[np.ix_(order, order, order)] = 3 * waves
    found = ablated_losses(logits, pairs, pairs.train, (1, 4))
    among = np.ix_(order, order)
    whole = cross_entropy(logits, pairs.answers)[among].mean()
    assert found.restricted == pytest.approx(whole, rel=1e-9)
    # Nothing is left: all outputs are alike.
    assert found.excluded == pytest.approx(np.log(14), rel=1e-9)
    other = ablated_losses(logits, pairs, pairs.train, (2, 3))
    assert other.restricted == pytest.approx(np.log(14), rel=1e-9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"interval": 0}, "interval must be at least 1"),
        ({"patience": 0}, "patience must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"weight_decay": -1.0}, "weight_decay must be at least 0"),
        ({"betas": [0.9]}, "two numbers"),
        ({"betas": [0.9, 1.0]}, "from 0 to below 1"),
    ],
)
def test_invalid_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        ANALYSES["modular_addition_training"](**settings)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=tiny"], "does not read 'a b ='; use model=modular_addition"),
        (["prompts=digits"], "prompts=modular_addition"),
        (["model.modulus=13"], "modulo 13, the prompts are modulo 11; add prompts.modulus=13"),
        (["prompts.modulus=7"], "7 numbers are too few"),
        (["prompts.modulus=12", "prompts.operation=multiplication"], "12, which is not prime"),
        (["model=modular_addition", "prompts.modulus=113"], "begins from random weights"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_work(overrides, message, tmp_path):
    another = any(override.startswith("model=") for override in overrides)
    kept = [o for o in SIZES if not (another and o.startswith("model."))]
    if "prompts=digits" in overrides:
        kept = [o for o in kept if not o.startswith("prompts.")]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=[*kept, f"outputs={tmp_path}", *overrides])
    with pytest.raises(ConfigError, match=message):
        run(config, tmp_path / "run")
    assert not (tmp_path / "training").exists()


def test_a_loss_that_is_no_number_ends_training_and_keeps_what_was_reached(tmp_path):
    config = composed(tmp_path, "analysis.epochs=100", "analysis.learning_rate=1e30")
    with pytest.raises(
        ConfigError, match=r"learning_rate: with 1e\+30 .* no longer a number at epo"
    ):
        run(config, tmp_path / "run")
    (state,) = tmp_path.glob("training/*/state.safetensors")
    assert all(bool(torch.isfinite(tensor).all()) for tensor in load_file(state).values())


def test_new_pairs_are_those_whose_mirror_image_was_not_trained_on_either():
    sums = Prompts(modulus=11, train_fraction=0.5).pairs()
    for a in range(11):
        for b in range(11):
            assert sums.new[a, b] == (not sums.train[a, b] and not sums.train[b, a])
    differences = Prompts(modulus=11, train_fraction=0.5, operation="subtraction").pairs()
    # There (b, a) has another answer.
    assert np.array_equal(differences.new, ~differences.train)


def test_a_sweep_draws_the_jobs_over_one_another(tmp_path):
    overrides = [*SIZES, f"outputs={tmp_path}", "analysis.epochs=20", "model.seed=0,1"]
    command = [sys.executable, "-m", "interp", "-m", *overrides]
    message = subprocess.run(
        command, cwd=Path(CONF).parent, capture_output=True, text=True, check=True
    )
    (figure,) = tmp_path.glob("sweeps/*/*/figures/training.png")
    assert f"figure   {figure}" in message.stdout
    assert "2 of 2 jobs finished" in message.stdout
