"""An option that is a number of things, or `auto`."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator


def _checked(value: Any) -> Any:
    """A union type would report an error for each of its two alternatives."""
    if value != "auto" and (not isinstance(value, int) or value < 2):
        raise ValueError(f"a whole number of at least 2, or auto, not {value!r}")
    return value


CountOrAuto = Annotated[int | Literal["auto"], BeforeValidator(_checked)]
"""A whole number of at least 2, or the word `auto`."""
