"""The waves that logits are a sum of: the coefficient of each, and how much it explains."""

from dataclasses import dataclass

from matplotlib.figure import Figure

from interp.plotting.sheets import legend_columns, name_panel, place, put_legend, sheet
from interp.plotting.style import Array, styled

from .frequency_figures import bars, key_handles, label_keys, stems

# Inches left of, right of, above and below panels.
_LEFT, _RIGHT, _ABOVE, _BELOW = 0.85, 0.15, 0.3, 0.55


@dataclass(frozen=True, eq=False)
class WaveCoefficients:
    """Logits as a sum of waves.

    Attributes:
        coefficients: of each wave, [frequency], from 1 on.
        explained: the fraction of the logits' variance that each wave explains, [frequency].
        keys: the key frequencies.
        coefficient_label: what the coefficients are of.
        explained_label: what the fractions are of.
    """

    coefficients: Array
    explained: Array
    keys: tuple[int, ...]
    coefficient_label: str
    explained_label: str


@styled
def wave_coefficients(waves: WaveCoefficients, *, title: str, subtitle: str) -> Figure:
    """Draw the coefficient of each frequency's wave, and below it how much the wave explains."""
    wide, (upper, lower), between = 7.4, (2.0, 1.2), _ABOVE + 0.05
    handles = key_handles([waves.keys], len(waves.coefficients))
    columns, foot = legend_columns([str(h.get_label()) for h in handles], wide - _LEFT)
    tall = foot + _BELOW + upper + lower + between + _ABOVE
    figure = sheet(wide, tall, title, subtitle)
    inner = wide - _LEFT - _RIGHT
    above = place(figure, _LEFT, tall - _ABOVE - upper, inner, upper)
    stems(above, waves.coefficients, waves.keys)
    label_keys(above, waves.coefficients, waves.keys, (inner, upper))
    above.axhline(0, color="#4D4D4D", linewidth=0.8)
    above.tick_params(labelbottom=False)
    name_panel(above, waves.coefficient_label, inner)
    above.set_ylabel("coefficient")
    below = place(figure, _LEFT, foot + _BELOW, inner, lower)
    bars(below, waves.explained, waves.keys)
    label_keys(below, waves.explained, waves.keys, (inner, lower))
    name_panel(below, waves.explained_label, inner)
    below.set_ylabel("fraction")
    below.set_xlabel("frequency")
    put_legend(figure, handles, columns, _LEFT)
    return figure
