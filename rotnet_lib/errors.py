"""Errors meant for the person at the keyboard: the culprit, what is allowed, the nearest match, the remedy."""

import difflib
from collections.abc import Iterable


class RotnetError(Exception):
    """Something the user can put right. The command line prints it without a traceback."""


def nearest(word: str, allowed: Iterable[str]) -> str:
    """`"; did you mean 'conv4'?"` for the allowed word closest to `word`; a full stop where none is close."""
    # Numbered names (conv4, nin5) are all alike to difflib: a strict cutoff would miss "con4", a loose one finds noise.
    match = difflib.get_close_matches(word, [str(choice) for choice in allowed], n=1, cutoff=0.6)
    return f"; did you mean '{match[0]}'?" if match else "."


def unknown(kind: str, word: str, allowed: Iterable[str]) -> RotnetError:
    """An error for a name that does not exist.

    Args:
        kind: what was looked up, as the user knows it (`"arch"`, `"layer of nin4"`).
        word: the name given.
        allowed: the names that exist, in the order to show them.
    """
    choices = list(allowed)
    return RotnetError(f"unknown {kind} '{word}'{nearest(word, choices)} Allowed: {', '.join(choices) or 'none'}.")
