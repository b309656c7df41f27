"""What a run prints, when several print at once."""

import time
from typing import TextIO

_INTERVAL = 5.0


class LinePrinter:
    """A stream that puts a label before whole lines, and shows a progress bar as a line now and then.

    Bars of runs side by side would overwrite each other; and a log should not hold every frame of one.

    Args:
        label: the run's name.
        target: where lines go.
        interval: seconds between two lines of a progress bar.
    """

    def __init__(self, label: str, target: TextIO, interval: float = _INTERVAL) -> None:
        self.label = label
        self.target = target
        self.interval = interval
        self._pending = ""
        self._shown: float | None = None

    def write(self, text: str) -> int:
        """Take text with `\\r` before or after the frames of a bar and `\\n` after lines."""
        if self._shown is None:  # the first frame, at zero, says nothing
            self._shown = time.monotonic()
        self._pending += text
        while "\n" in self._pending:
            line, self._pending = self._pending.split("\n", 1)
            self._print(line.rpartition("\r")[2])
        if "\r" in self._pending and time.monotonic() - self._shown > self.interval:
            frame = self._pending.rstrip("\r").rpartition("\r")[2]
            self._print(frame)
            self._pending = ""
        return len(text)

    def flush(self) -> None:
        self.target.flush()

    def _print(self, line: str) -> None:
        if line.strip():
            self._shown = time.monotonic()
            self.target.write(f"{self.label} | {line.strip()}\n")
