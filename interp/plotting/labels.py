"""The words on a figure, as one record that drawing functions share."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Labels:
    """The words around a figure's axes.

    Attributes:
        title: what the figure shows, as a sentence or a phrase.
        subtitle: the model, the site, the prompts and whatever else the values depend on.
        xlabel: the title of the x axis.
        ylabel: the title of the y axis.
    """

    title: str
    subtitle: str = ""
    xlabel: str = ""
    ylabel: str = ""
