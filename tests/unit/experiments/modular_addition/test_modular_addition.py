"""The analysis of modular addition, on a network built by hand and on random ones.

The network adds as Nanda et al. (2023) describe it. At each planted frequency w neurons compute
ReLU(cos(wa + φ) + cos(wb + φ)) for some phases φ, which is ReLU(A cos(w(a + b)/2 + φ)) with
A = 2 cos(w(a - b)/2); its second harmonic in φ is |A| 2/(3π) cos(w(a + b) + 2φ). Read out with
cos 2φ and sin 2φ it gives |A| cos(w(a + b)) and |A| sin(w(a + b)), and the unembedding makes
|A| cos(w(a + b - c)) of these.
"""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from scipy.special import log_softmax

from interp.cli.main import CONF
from interp.core.errors import ConfigError
from interp.experiments.modular_addition.arithmetic import Arithmetic
from interp.experiments.modular_addition.key_frequencies import key_frequencies_of_weights
from interp.experiments.modular_addition.model import ModularArithmetic
from interp.experiments.modular_addition.model.effective_weights import effective_weights
from interp.experiments.modular_addition.model.last_position import all_pairs
from interp.experiments.modular_addition.model.tokenizer import number_tokenizer
from interp.experiments.modular_addition.model.transformer import (
    ModularArithmeticConfig,
    ModularArithmeticForCausalLM,
)
from interp.experiments.modular_addition.prompts import ModularArithmetic as Prompts
from interp.experiments.modular_addition.singular_vectors import singular_vectors
from interp.runner.run import run

MODULUS, PHASES = 59, 8
PLANTED = (3, 10, 17, 28)


def planted(keys=PLANTED, modulus=MODULUS, operation="addition", **fields):
    """Build the network for an operation.

    The stream's first part holds the numbers, its second the answer, and three dimensions say which
    of the places it is. One head looks at a, the other at b, and under subtraction turns its waves
    round. Numbers other than 0 stand at their places in the group.
    """
    arithmetic = Arithmetic(modulus, operation)
    order = torch.from_numpy(arithmetic.order)
    size = 2 * len(keys)
    places = slice(2 * size, 2 * size + 3)
    config = ModularArithmeticConfig(
        modulus=modulus,
        hidden_size=2 * size + 3,
        num_attention_heads=2,
        head_dim=size,
        intermediate_size=PHASES * len(keys),
        **fields,
    )
    model = ModularArithmeticForCausalLM(config)
    for weight in model.parameters():
        torch.nn.init.zeros_(weight)
    block, embedding = model.model.layers[0], model.model.embed_tokens.weight
    attention, mlp = block.self_attn, block.mlp
    x, phases = torch.arange(len(order)), 2 * torch.pi * torch.arange(PHASES) / PHASES
    with torch.no_grad():
        model.model.embed_positions.weight[:, places] = torch.eye(3)
        for head in range(2):
            channels = slice(head * size, (head + 1) * size)
            attention.q_proj.weight[channels.start, 2 * size + 2] = 100
            attention.k_proj.weight[channels.start, 2 * size + head] = 100
            turned = torch.ones(size)
            if head == 1:
                turned[1::2] = arithmetic.sign
            attention.v_proj.weight[channels, :size] = torch.diag(turned)
            attention.o_proj.weight[:size, channels] = torch.eye(size)
        for i, k in enumerate(keys):
            w = 2 * torch.pi * k / len(order)
            cosine, sine, neurons = 2 * i, 2 * i + 1, slice(PHASES * i, PHASES * (i + 1))
            # Sizes that differ keep singular vectors apart; the MLP takes them off again.
            size_of_wave = 1 + 0.1 * i
            embedding[order, cosine] = size_of_wave * torch.cos(w * x)
            embedding[order, sine] = size_of_wave * torch.sin(w * x)
            mlp.up_proj.weight[neurons, cosine] = torch.cos(phases) / size_of_wave
            mlp.up_proj.weight[neurons, sine] = -torch.sin(phases) / size_of_wave
            mlp.down_proj.weight[size + cosine, neurons] = torch.cos(2 * phases)
            mlp.down_proj.weight[size + sine, neurons] = -torch.sin(2 * phases)
            model.lm_head.weight[order, size + cosine] = 20 * torch.cos(w * x)
            model.lm_head.weight[order, size + sine] = 20 * torch.sin(w * x)
    return model


def composed(outputs, *overrides):
    chosen = ["experiment=modular_addition", f"outputs={outputs}", *overrides]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=chosen)


def opening(folder, model, *overrides):
    """Save a model, and open it with the analysis."""
    model.save_pretrained(folder / "model")
    number_tokenizer(MODULUS).save_pretrained(folder / "model")
    config = composed(
        folder, f"model.path={folder / 'model'}", f"prompts.modulus={MODULUS}", *overrides
    )
    return run(config, folder / "run").result


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """The analysis of the network built by hand."""
    return opening(tmp_path_factory.mktemp("planted"), planted())


def test_every_pair_is_answered_and_the_split_is_not_made_up(opened):
    assert opened.scalars["accuracy_all_pairs"] == 1
    assert not any("training" in name for name in opened.scalars)
    assert "Which pairs it was trained on is not known." in opened.finding


@pytest.mark.parametrize("operation", ["subtraction", "multiplication"])
def test_other_operations_are_examined_in_the_order_of_their_group(operation, tmp_path):
    prompts = Prompts(modulus=MODULUS, operation=operation)
    model = planted(operation=operation, trained_on=asdict(prompts))
    found = opening(tmp_path, model, f"prompts.operation={operation}")
    pairs = prompts.pairs()
    order, n = pairs.arithmetic.order, len(pairs.arithmetic.order)
    among = np.ix_(order, order)
    logits, right = all_pairs(model).logits, pairs.answers
    answered = (logits.argmax(-1) == right)[among]
    assert answered.mean() > 0.99
    # With 0 there is nothing to add up in the exponent.
    assert found.scalars["accuracy_all_pairs"] == (logits.argmax(-1) == right).mean()
    table = found.tables["frequencies"].set_index("frequency")
    for matrix in ("W_E", "W_neur", "W_logit"):
        assert tuple(table.index[table[f"key_{matrix}"]]) == PLANTED
    assert found.scalars["logits_variance_explained"] > 0.7
    assert found.scalars["neurons_that_follow_a_frequency"] == 1

    # Restricted and excluded loss by projection on explicit vectors over the pairs.
    x = np.arange(n)
    turn = 2 * np.pi * (x[:, None] + pairs.arithmetic.sign * x) / n
    waves = [f(k * turn).ravel() for k in PLANTED for f in (np.cos, np.sin)]
    basis = np.array(waves) / np.linalg.norm(waves, axis=1)[:, None]
    of_group = logits[among].reshape(n * n, -1).astype(np.float64)
    held = basis.T @ (basis @ of_group)
    train, answers = pairs.train[among].ravel(), right[among].ravel()
    left, kept = of_group - held, held + of_group.mean(0)
    expected = {
        "restricted_loss_all_pairs": log_loss(kept, answers),
        "excluded_loss_training_pairs": log_loss(left[train], answers[train]),
    }
    for name, value in expected.items():
        assert found.scalars[name] == pytest.approx(value, rel=1e-6)


def log_loss(logits, answers):
    """Mean cross-entropy in nats, by SciPy."""
    return float(-log_softmax(logits, axis=1)[np.arange(len(answers)), answers].mean())


def test_the_planted_frequencies_are_found_in_every_matrix(opened):
    table = opened.tables["frequencies"].set_index("frequency")
    for matrix in ("W_E", "W_neur", "W_logit"):
        assert tuple(table.index[table[f"key_{matrix}"]]) == PLANTED
        # In the embedding with the squares of their sizes, in the others alike.
        planted_power = (1 + 0.1 * np.arange(len(PLANTED))) ** (2 if matrix == "W_E" else 0)
        shares = table.loc[list(PLANTED), f"share_{matrix}"]
        np.testing.assert_allclose(shares, planted_power / planted_power.sum(), rtol=1e-4)
    assert opened.scalars["key_frequencies"] == len(PLANTED)


def test_singular_vectors_have_the_same_frequencies(opened):
    vectors = opened.tables["singular_vectors"]
    assert vectors["is_wave"].sum() == 2 * len(PLANTED)
    assert vectors["is_wave"][: 2 * len(PLANTED)].all()
    assert "the same as by its Fourier basis" in opened.finding


def test_neurons_follow_the_frequency_that_they_were_built_for(opened):
    neurons = opened.tables["neurons"]
    assert neurons["frequency"].tolist() == [k for k in PLANTED for _ in range(PHASES)]
    assert neurons["explained"].min() > 0.85
    assert neurons["by_chance"].max() < 0.3
    assert opened.scalars["neurons_that_follow_a_frequency"] == 1


def test_logits_are_the_waves_of_the_planted_frequencies(opened):
    coefficients = opened.spectra["logit_coefficient"]
    others = np.setdiff1d(np.arange(1, MODULUS // 2 + 1), PLANTED)
    planted_ones = coefficients[np.array(PLANTED) - 1]
    # The mean of |A| = 2 |cos| is 4/π, of which the phases read 2/(3π), half of them a number.
    expected = 20 * (4 / np.pi) * (2 / (3 * np.pi)) * PHASES / 2
    np.testing.assert_allclose(planted_ones, expected, rtol=0.06)
    # |A| has the difference of a and b for a phase, and the fourth harmonic is left over.
    assert np.abs(coefficients[others - 1]).max() < 0.3 * expected
    assert opened.scalars["logits_variance_explained"] > 0.7


def test_without_the_key_frequencies_nothing_is_known(opened):
    assert opened.scalars["restricted_loss_all_pairs"] < 0.2
    assert opened.scalars["excluded_loss_all_pairs"] > 2
    summary = opened.tables["summary"].set_index("")
    assert summary.loc["restricted loss, all pairs (nats)", "by chance"] > 2


def test_figures_and_tables_are_all_there(opened):
    assert set(opened.figures) == {
        "attention",
        "attention_to_a",
        "fourier_basis",
        "frequencies",
        "heads",
        "singular_values",
        "singular_vectors",
        "neurons",
        "neuron_components",
        "neuron_frequencies",
        "logits",
    }
    tables = {"summary", "frequencies", "heads", "neurons", "singular_vectors"}
    assert set(opened.tables) >= tables
    # Neurons take off the sizes that the embedding's waves differ by, whichever head brings them.
    heads = opened.tables["heads"].set_index("frequency").loc[list(PLANTED)]
    np.testing.assert_allclose(heads.to_numpy(), 1 / len(PLANTED), rtol=1e-4)


@pytest.mark.parametrize("keys", [(1,), (2, 5, 9), (1, 2, 3, 4, 5, 6)])
def test_any_planted_set_is_found_exactly(keys):
    weights = effective_weights(planted(keys, modulus=47))
    rng = np.random.default_rng(0)
    for name, found in key_frequencies_of_weights(weights, rng).items():
        assert found.keys == keys, name
    assert singular_vectors(weights.embedding, rng).wave_frequencies == keys


def test_random_weights_have_no_key_frequencies():
    found = []
    for seed in range(40):
        source = ModularArithmetic(
            modulus=43, hidden_size=32, heads=2, head_dim=16, neurons=48, seed=seed
        )
        weights = effective_weights(source.load(head=True).head)
        rng = np.random.default_rng(seed)
        keys = key_frequencies_of_weights(weights, rng)
        found += [key.keys for key in keys.values()]
        found.append(singular_vectors(weights.embedding, rng).wave_frequencies)
    # p is 0.001: of 160 matrices two are expected to have one in one of a hundred repetitions.
    assert sum(map(bool, found)) <= 2


def test_a_random_model_of_the_papers_size_has_no_key_frequency():
    weights = effective_weights(ModularArithmetic(seed=0).load(head=True).head)
    keys = key_frequencies_of_weights(weights, np.random.default_rng(0))
    assert {name: key.keys for name, key in keys.items()} == {
        "W_E": (),
        "W_neur": (),
        "W_logit": (),
    }


def test_a_model_without_key_frequencies_is_reported_as_one(tmp_path):
    sizes = ["model.hidden_size=16", "model.heads=2", "model.head_dim=8", "model.neurons=24"]
    chosen = ["model=modular_addition_untrained", "prompts.modulus=23"]
    found = run(composed(tmp_path, *chosen, *sizes), tmp_path / "run").result
    assert "No key frequency" in found.finding
    assert found.scalars["key_frequencies"] == 0
    assert found.scalars["accuracy_all_pairs"] < 0.2


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=tiny"], "does not read 'a b ='"),
        (["prompts=digits"], "prompts=modular_addition"),
        (["prompts.modulus=59"], "add prompts.modulus=113"),
        (["prompts.seed=1"], "trained on other pairs; add prompts.seed=0"),
        (["prompts.operation=subtraction"], "add prompts.operation=addition"),
        (
            [
                "model=modular_addition_untrained",
                "prompts.modulus=9",
                "prompts.operation=multiplication",
            ],
            "modulo 9, which is not prime",
        ),
    ],
)
def test_what_cannot_be_examined_is_refused(overrides, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        run(composed(tmp_path, *overrides), tmp_path / "run")
