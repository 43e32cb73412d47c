"""Declared invariances, offsets, packing and overrides, on inputs that hypothesis makes up."""

import string

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from interp import compose
from interp.cli.overrides import as_hydra_reads
from interp.data.positions import All, Last, Mean, Target
from interp.data.prompts import from_marked, parse_marked
from interp.forward.capture import capture
from interp.hooks.residual import ResidPost
from interp.metrics import METRICS
from interp.models.language_model import LanguageModel
from interp.stats.permutation_tests import permutation_test
from tests.contract.test_packing import plainly, source_of
from tests.unit.data.test_positions import TOKENIZERS

SETTINGS = settings(max_examples=25, deadline=None, derandomize=True)

# What each declared invariance is to, given a cloud [n, d] and a number.
TRANSFORMATIONS = {
    "scale": lambda x, a: abs(a) * x,
    "translation": lambda x, a: x + a * np.linspace(-1, 1, x.shape[1]),
    "orthogonal": lambda x, a: x - 2 * np.outer(x @ (v := _direction(x.shape[1], a)), v),
    "permutation": lambda x, a: x[np.random.default_rng(int(1000 * abs(a))).permutation(len(x))],
}
WELL_BEHAVED = ("cosine", "linear_cka", "rsa", "procrustes", "rv_coefficient", "wasserstein")

word = st.text(string.ascii_letters + "éß🙂", min_size=1, max_size=8)
sentence = st.lists(word, min_size=0, max_size=6).map(" ".join)


def _direction(d, a):
    vector = np.cos(a * np.arange(1, d + 1)) + 0.1
    return vector / np.linalg.norm(vector)


def metric_of(name):
    return METRICS.build(compose(f"metric={name}").metric)


METRICS_BUILT = {name: metric_of(name) for name in WELL_BEHAVED}


@pytest.mark.parametrize("name", WELL_BEHAVED)
@SETTINGS
@given(seed=st.integers(0, 2**16), a=st.floats(0.2, 5), sign=st.sampled_from([-1, 1]))
def test_a_metric_keeps_to_every_invariance_that_it_declares(name, seed, a, sign):
    x, y = np.random.default_rng(seed).normal(size=(2, 15, 6))
    metric = METRICS_BUILT[name]
    for invariance in metric.invariances & set(TRANSFORMATIONS):
        moved = TRANSFORMATIONS[invariance](x, sign * a)
        assert metric(moved, y) == pytest.approx(metric(x, y), abs=1e-7), invariance


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@SETTINGS
@given(before=sentence, target=word, after=sentence)
def test_the_marked_word_is_covered_by_its_tokens_whatever_surrounds_it(
    tokenizer, tiny, before, target, after
):
    model = LanguageModel("trained here", tiny.skeleton().module, TOKENIZERS[tokenizer])
    text, span = parse_marked(" ".join(filter(None, [before, f"{{{target}}}", after])))
    assert text[slice(*span)] == target
    tokens = model.tokenize([text])[0]
    (found,) = Target(several="mean")(tokens, span)
    covered = {c for i in found for c in range(*tokens.offsets[i].tolist())}
    # A character that a tokenizer splits into bytes lies in several tokens.
    assert set(range(*span)) <= covered | {c for c in range(*span) if not text[c].isascii()}
    assert {i for (i,) in All()(tokens, None)} >= set(found)
    assert Last()(tokens, None)[0][0] == max(Mean()(tokens, None)[0])


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "bert"])
@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    texts=st.lists(
        st.lists(st.sampled_from("a heron waits by the mill".split()), min_size=1, max_size=12),
        min_size=2,
        max_size=8,
    )
)
def test_packed_prompts_have_the_values_of_padded_ones(architecture, texts):
    source = source_of(architecture)
    prompts = from_marked({"all": [" ".join(words) for words in texts]})
    last = len(source.load().stack("auto").blocks) - 2
    found = capture(source, prompts, ResidPost(layers=last), All(special=True))
    expected = np.concatenate(plainly(source, prompts))
    np.testing.assert_allclose(found.values[0], expected, atol=1e-5 * np.abs(expected).max())


@SETTINGS
@given(
    observed=arrays.arrays(float, 4, elements=st.floats(-3, 3)),
    null=arrays.arrays(float, (4, 19), elements=st.floats(-3, 3)),
)
def test_correcting_for_layers_never_makes_a_p_smaller(observed, null):
    test = permutation_test(observed, null, "greater")
    assert (test.p >= 1 / 20).all()
    assert (test.p_corrected >= test.p).all()
    assert (test.p_corrected <= 1).all()


@SETTINGS
@given(
    seed=st.integers(0, 10**6),
    alpha=st.floats(0.001, 0.999),
    layers=st.lists(st.integers(-4, 12), min_size=1, max_size=4, unique=True),
    where=st.integers(0, 3),
)
def test_overrides_mean_the_same_in_every_order(seed, alpha, layers, where):
    given_ = [f"seed={seed}", f"analysis.alpha={alpha}", f"hook.layers={layers}".replace(" ", "")]
    moved = given_[where:] + given_[:where]
    config = compose(*moved)
    assert config == compose(*given_)
    assert (config.seed, list(config.hook.layers)) == (seed, layers)
    assert config.analysis.alpha == alpha


@SETTINGS
@given(path=st.lists(st.text("abc_", min_size=1, max_size=4), min_size=1, max_size=3).map(".".join))
def test_a_module_path_with_a_layer_needs_no_quotes(path):
    (line,) = as_hydra_reads([f"hook.path={path}.{{layer}}"])
    (override,) = OverridesParser.create().parse_overrides([line])
    assert override.value() == f"{path}.{{layer}}"
