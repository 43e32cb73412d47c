from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from omegaconf import MISSING, OmegaConf

from interp.core.errors import ConfigError, nearest
from interp.core.registry import Registry

SHAPES: Registry[Any] = Registry("shape", "interp.none")


@SHAPES.register("box")
@dataclass(frozen=True)
class Box:
    sides: ClassVar[int] = 6
    width: float
    closed: bool = True
    labels: list[str] = field(default_factory=list)
    anything: Any = "all"

    def __post_init__(self) -> None:
        if self.width <= 0:
            raise ConfigError(f"width must be positive, not {self.width}")


@SHAPES.register("ball")
@dataclass(frozen=True)
class Ball:
    radius: float = MISSING


def test_builds_the_named_dataclass_with_converted_types():
    box = SHAPES.build({"name": "box", "width": 2, "labels": ["a"], "anything": [0, -1]})
    assert box == Box(width=2.0, labels=["a"], anything=[0, -1])
    assert isinstance(box.width, float)
    assert isinstance(box.labels, list)
    assert SHAPES.name_of(box) == "box"


def test_resolves_interpolations_of_the_whole_configuration():
    config = OmegaConf.create({"size": 3.5, "shape": {"name": "box", "width": "${size}"}})
    assert SHAPES.build(config.shape).width == 3.5


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"name": "bal"}, "shape.name: unknown 'bal'; did you mean 'ball'? (known: ball, box)"),
        ({"width": 1}, "shape.name is missing"),
        ({"name": "box", "widht": 1}, "shape: unknown field 'widht'; did you mean 'width'?"),
        ({"name": "box", "sides": 4, "width": 1}, "shape: unknown field 'sides'"),
        ({"name": "box", "width": "wide"}, "shape.width: Value 'wide' of type 'str' could not be"),
        ({"name": "box", "width": 1, "closed": "maybe"}, "shape.closed: Value 'maybe' is not"),
        ({"name": "box", "width": 1, "labels": "x"}, "shape.labels:"),
        ({"name": "box", "width": -1}, "shape.width must be positive, not -1"),
        ({"name": "box", "width": "???"}, "shape.width needs a value"),
        ({"name": "ball"}, "shape.radius needs a value"),
        ({"name": "box"}, "shape.width needs a value"),
        ("box", "shape: expected a mapping with a name, got 'box'"),
    ],
)
def test_refuses_what_does_not_fit_in_one_line(config, said):
    with pytest.raises(ConfigError) as caught:
        SHAPES.build(config)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_a_name_is_taken_once_and_only_by_a_dataclass():
    registry: Registry[Any] = Registry("thing", "interp.things")
    registry.register("a")(Ball)
    with pytest.raises(ValueError, match="two thing components are called 'a'"):
        registry.register("a")(Box)
    with pytest.raises(ValueError, match="must be a dataclass"):
        registry.register("b")(int)


def test_nearest_is_silent_where_nothing_is_near():
    assert nearest("zzz", ["cosine"]) == " (known: cosine)"
