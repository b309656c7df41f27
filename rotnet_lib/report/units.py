"""How the unit and the direction of figures are said: over a table, on an axis, in a sentence."""

from rotnet_lib.runs.metrics import PERCENT, Better, decimals

_LOWER = "lower is better"
_ACCURACY = "top-1 accuracy"


def in_words(unit: str, better: Better = "higher") -> str:
    """Over a table: `percent`; `dB`; `lower is better`; nothing for a plain number of which higher is better."""
    return ", ".join(filter(None, ["percent" if unit == PERCENT else unit, _LOWER if better == "lower" else ""]))


def heading(what: str, unit: str, better: Better = "higher") -> str:
    """The heading of figures: `top1, percent`; `psnr, dB`; `mse, lower is better`; `nmi`."""
    return ", ".join(filter(None, [what, in_words(unit, better)]))


def axis_label(what: str, unit: str, better: Better = "higher") -> str:
    """The label of an axis: `top-1 accuracy (%)`; `psnr (dB)`; `mse (lower is better)`; `nmi`."""
    what = _ACCURACY if (what, unit, better) == ("top1", PERCENT, "higher") else what
    said = ", ".join(filter(None, [unit, _LOWER if better == "lower" else ""]))
    return f"{what} ({said})" if said else what


def change(difference: float, figure: float, unit: str) -> str:
    """How far a figure lies from another: `+1.50 points` of a percentage, `-0.21 dB`, `+0.0123`."""
    return f"{signed(difference, figure, unit)} {'points' if unit == PERCENT else unit}".rstrip()


def signed(difference: float, figure: float, unit: str) -> str:
    """How far a figure lies from another, with its sign and as many decimals as the figure is shown with: `+1.50`."""
    return f"{difference:+.{decimals(figure, unit)}f}"
