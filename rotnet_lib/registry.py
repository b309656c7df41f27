"""Names to things: datasets, archs, classifiers, pretext tasks, stages."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from rotnet_lib.errors import unknown

T = TypeVar("T")


class Registry(Generic[T]):
    """A dictionary filled by a decorator, whose missing key is an error that helps.

    Example:
        >>> ARCHS = Registry[type]("arch")
        >>> @ARCHS.register("nin4")
        ... class Nin4: ...
        >>> ARCHS["nin4"]
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that enters the decorated object under `name`. Raises ValueError if the name is taken."""

        def enter(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind} '{name}' is registered twice: {self._entries[name]} and {entry}")
            self._entries[name] = entry
            return entry

        return enter

    def remove(self, name: str) -> None:
        """Take an entry out again, such as that of a test."""
        del self._entries[name]

    def __getitem__(self, name: str) -> T:
        """The entry of that name. Raises RotnetError with the allowed names and the nearest one, whatever `name` is."""
        if name not in self:
            raise unknown(self.kind, name, self._entries)
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._entries
