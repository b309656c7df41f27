"""How the unit and the direction of figures are said: over a table, on an axis, in a sentence."""

from rotnet_lib.runs.metrics import PERCENT, Better, decimals

_LOWER = "lower is better"


def called(what: str, unit: str = PERCENT, better: Better = "higher") -> str:
    """A measure as people call it: `top-1 accuracy`."""
    return "top-1 accuracy" if (what, unit, better) == ("top1", PERCENT, "higher") else what


def in_words(unit: str, better: Better = "higher") -> str:
    """Over a table: `percent`; `dB`; `lower is better`; nothing for a plain number of which higher is better."""
    return ", ".join(filter(None, ["percent" if unit == PERCENT else unit, _LOWER if better == "lower" else ""]))


def heading(what: str, unit: str, better: Better = "higher") -> str:
    """The heading of figures: `Top-1 accuracy (%)`; `psnr (dB)`; `mse (lower is better)`; `nmi`."""
    label = axis_label(what, unit, better)
    return label if label.startswith(what) else label[0].upper() + label[1:]


def axis_label(what: str, unit: str, better: Better = "higher") -> str:
    """The label of an axis: `top-1 accuracy (%)`; `psnr (dB)`; `mse (lower is better)`; `nmi`."""
    said = ", ".join(filter(None, [unit, _LOWER if better == "lower" else ""]))
    name = called(what, unit, better)
    return f"{name} ({said})" if said else name


def change(difference: float, figure: float, unit: str) -> str:
    """How far a figure lies from another: `+1.50 points` of a percentage, `-0.21 dB`, `+0.0123`."""
    return f"{signed(difference, figure, unit)} {'points' if unit == PERCENT else unit}".rstrip()


def size(difference: float, figure: float, unit: str) -> str:
    """How large a difference is in a sentence: `1.5 points` of a percentage, `0.21 dB`, `0.0123`."""
    digits = 1 if unit == PERCENT else decimals(figure, unit)
    return f"{abs(difference):.{digits}f} {'points' if unit == PERCENT else unit}".rstrip()


def signed(difference: float, figure: float, unit: str) -> str:
    """How far a figure lies from another, with its sign and as many decimals as the figure is shown with: `+1.50`."""
    return f"{difference:+.{decimals(figure, unit)}f}"
