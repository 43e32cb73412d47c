import numpy as np

from interp.stats.tested_series import TestedSeries
from interp.tracking.series_tags import from_tags, to_tags
from interp.tracking.store import LONGEST_TAG


def test_specifications_read_back_from_tags():
    series = [
        TestedSeries("value", "KL(a ‖ b) in nats", (0,), np.zeros(1), p=np.ones(1)),
        TestedSeries("loss", "nats", (0,), np.zeros(1), axis="epoch", scale="log"),
    ]
    tags = to_tags(series)
    assert list(tags) == ["tested_series"]
    assert from_tags(tags) == [one.specification() for one in series]
    assert to_tags([]) == {}
    assert from_tags({}) == []


def test_a_text_longer_than_a_tag_continues_in_the_next():
    values = np.full(1, np.nan)
    series = [TestedSeries(f"x{i}", "x", (0,), values, undefined={0: "ä" * 3000}) for i in range(4)]
    tags = to_tags(series)
    assert list(tags) == ["tested_series", "tested_series_2", "tested_series_3"]
    assert max(map(len, tags.values())) <= LONGEST_TAG
    assert from_tags(tags) == [one.specification() for one in series]
