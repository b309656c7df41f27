"""What runs print side by side."""

import io

from rotnet_lib.suites.line_printer import LinePrinter


def printed(*pieces: str, interval: float = 0.0) -> list[str]:
    target = io.StringIO()
    stream = LinePrinter("run", target, interval)
    for piece in pieces:
        assert stream.write(piece) == len(piece)
    stream.flush()
    return target.getvalue().splitlines()


def test_whole_lines_carry_the_label() -> None:
    assert printed("one\ntwo\n") == ["run | one", "run | two"]
    assert printed("o", "n", "e\n", "tw") == ["run | one"]  # the other line is not whole yet
    assert printed("\n  \n\n") == []


def test_a_bar_is_a_line_now_and_then() -> None:
    frames = [f"\r{percent}%" for percent in range(100)]
    assert printed(*frames, interval=1000) == []
    assert printed("\r1%", "\r2%\r3%") == ["run | 1%", "run | 3%"]
    assert printed("1%\r", "2%\r") == ["run | 1%", "run | 2%"]


def test_a_bars_last_frame_is_shown_however_little_time_has_passed() -> None:
    assert printed("\r1%", "\r50%", "\r100%\n", "done\n", interval=1000) == ["run | 100%", "run | done"]
