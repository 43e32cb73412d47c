from dataclasses import dataclass, field

from omegaconf import MISSING

from interp.core.fields import Field, fields_of, meanings_of


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A shape.

    Attributes:
        sides: how many it has.
        width, height: its size, in a description
            of two lines.
    """

    width: float
    height: float = 1.0
    sides: int | None = None


@dataclass(frozen=True, kw_only=True)
class Box(Shape):
    """A box.

    Attributes:
        height: of the box.
    """

    height: float = 2.0
    labels: list[str] = field(default_factory=list)
    path: str = MISSING


def test_a_field_has_the_description_of_the_class_that_states_it_last():
    found = {one.name: one for one in fields_of(Box)}
    assert list(found) == ["width", "height", "sides", "labels", "path"]
    assert found["width"] == Field(
        "width", "float", None, True, "its size, in a description of two lines."
    )
    assert found["height"] == Field("height", "float", 2.0, False, "of the box.")
    assert found["sides"].type == "int | None"
    assert found["labels"] == Field("labels", "list[str]", [], False, "")
    assert found["path"].is_required


def test_a_line_may_describe_several_attributes():
    assert set(meanings_of(Shape)) == {"sides", "width", "height"}
