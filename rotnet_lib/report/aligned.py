"""Figures of a column, one below the other at their decimal points."""

import re
from collections.abc import Sequence

from markupsafe import Markup, escape

_HEAD = re.compile(r"[^.]*")


def aligned(texts: Sequence[str]) -> list[Markup]:
    """Figures with what they lack at the right of others in the same column, as space that is not read: `92.8`, `89.06`.

    Figures are shown with as many decimals as they were published with, so no zero is put in. The digits must be of one
    width (`font-variant-numeric`), and the column right-aligned. A text without a figure is left as it is.
    """
    tails = [_HEAD.sub("", text, count=1) if _is_figure(text) else "" for text in texts]
    longest = max(tails, key=len, default="")
    found = []
    for text, tail in zip(texts, tails, strict=True):
        lacking = longest[len(tail) :] if _is_figure(text) else ""
        padding = Markup('<span class="pad" aria-hidden="true">{}</span>').format(lacking) if lacking else ""
        found.append(Markup("{}{}").format(escape(text), padding))
    return found


def _is_figure(text: str) -> bool:
    return text[:1].isdigit() or (text[:1] in "+-" and text[1:2].isdigit())
