"""Errors meant for the person at the keyboard: the culprit, what is allowed, the nearest match, the remedy."""

import difflib
from collections.abc import Iterable

_OTHER_NAMES = {
    **dict.fromkeys(("learning_rate", "learningrate", "max_lr", "base_lr"), "lr"),
    **dict.fromkeys(("wd", "l2"), "weight_decay"),
    **dict.fromkeys(("bs", "batch"), "batch_size"),
    **dict.fromkeys(("n_epochs", "num_epochs"), "epochs"),
    **dict.fromkeys(("img_size", "resolution", "size"), "image_size"),
    **dict.fromkeys(("n_workers", "num_workers"), "workers"),
    **dict.fromkeys(("model", "architecture", "network"), "arch"),
    "data": "dataset",
    "scheduler": "schedule",
}
"""What others call a parameter -> what it is called here, where the spelling does not show it."""

_LONGEST = 200
"""Characters of a value that a message shows."""


class RotnetError(Exception):
    """Something the user can put right. The command line prints it without a traceback."""

    def __init__(self, message: str) -> None:
        # A name may hold characters that no terminal, report or JSON file takes: they are shown as `\udc80`.
        super().__init__(message.encode("utf-8", "backslashreplace").decode())


class StorageError(RotnetError, OSError):
    """A RotnetError about a file that could not be written.

    It is an OSError too, so that code that knows what the file is for can say so.
    """


def shown(value: object) -> str:
    """A value for a message: its `repr`, cut off where it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to write out an integer of more than 4300 digits
        return "a number of thousands of digits"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def nearest(word: str, allowed: Iterable[str]) -> str:
    """`"; did you mean 'conv4'?"` for the allowed word closest to `word`; a full stop where none is close."""
    # Numbered names (conv4, nin5) are all alike to difflib: a strict cutoff would miss "con4", a loose one finds noise.
    choices = [str(choice) for choice in allowed]
    short = "".join(part[0] for part in word.split("_") if part)  # lr of learning_rate
    other = _OTHER_NAMES.get(word.lower().replace("-", "_"))
    if word not in choices and other in choices:
        match = [other]
    else:
        match = [short] if "_" in word and short in choices else difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    return f"; did you mean '{match[0]}'?" if match else "."


def unknown(kind: str, word: object, allowed: Iterable[str]) -> RotnetError:
    """An error for a name that does not exist.

    Args:
        kind: what was looked up, as the user knows it (`"arch"`, `"layer of nin4"`).
        word: the name given; it may be of another type by mistake.
        allowed: the names that exist, in the order to show them.
    """
    choices = list(allowed)
    text = word if isinstance(word, str) and len(word) <= _LONGEST else shown(word).strip("'")
    return RotnetError(f"unknown {kind} '{text}'{nearest(text, choices)} Allowed: {', '.join(choices) or 'none'}.")
