"""Changes of a file's content: of bytes, of text, and of the file itself. Each is a function of the generator alone."""

import os
import random
import re
import shutil
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

Changed = tuple[bytes, str]
"""The new content, and what was done."""

_ENDS = 512
"""Bytes at either end of a file, where formats have their heads and tables: half of the changes are there."""

_LONG = 100_000
"""Characters of what is very long."""

ODD_TEXT = (
    *(
        "\0",
        "\x1b[31m",
        "\x07",
        "\r",
        "\t",
        "\x0b",
        "\x0c",
        "\x1c",
        "\x85",
        " ",
        "\u2028",
        "\ufeff",
        "\u202e",
        "\u00e9",
        "e\u0301",
    ),
    *(
        "\ud800",
        "\udcff",
        "\uffff",
        "\U0001f9ed",
        "%s",
        "$x^2$",
        "<b>",
        "&amp;",
        "{x}",
        "'",
        '"',
        "\\",
        "../",
        "~",
        "#",
        ":",
        "- ",
    ),
)
"""Characters and words that programs stumble over; two are half of a pair, which is no text."""

ODD_NUMBERS = (
    *("nan", "NaN", "inf", "-inf", "-1", "-0", "0", "1e999", "1e-999", "0x10", "1_000", "+5", "5.", ".5", "1,5", "1 000", ""),
    *(str(2**31), str(2**63), str(2**64), str(10**30), "9" * 5000, "\u0663", "\u00b2", "1e5", "007"),
)
"""What may stand where a number is needed."""


def encoded(text: str) -> bytes:
    """UTF-8, in which half of a pair becomes bytes that are no UTF-8."""
    return text.encode("utf-8", "surrogatepass")


def change_bytes(content: bytes, rng: random.Random, donors: Sequence[bytes] = ()) -> Changed:
    """Bits flipped, bytes cut off, taken out, put in, or of another file.

    Args:
        content: at least a byte.
        rng: decides.
        donors: the contents of other files, which may take its place.
    """
    ways: list[Callable[[], Changed]] = [
        *[lambda: _flipped(content, rng)] * 4,
        *[lambda: _cut(content, rng)] * 2,
        lambda: _taken_out(content, rng),
        lambda: _put_in(content, rng),
        lambda: _overwritten(content, rng),
        lambda: (content + rng.randbytes(rng.choice((1, 100, 5000))), "bytes were added at the end"),
        lambda: rng.choice(
            [(b"", "it is empty"), (rng.randbytes(len(content)), "it is noise"), (bytes(len(content)), "it is zeros")]
        ),
    ]
    if donors:
        ways += [lambda: (rng.choice(donors), "it is another file"), lambda: _spliced(content, rng, rng.choice(donors))]
    return _differing(content, rng, ways)


def change_text(text: str, rng: random.Random) -> Changed:
    """Characters, numbers, words and lines changed, taken out, put in, doubled. `text` is not empty."""
    ways: list[Callable[[], tuple[str, str]]] = [
        lambda: _odd_character(text, rng),
        lambda: _odd_character(text, rng),
        lambda: _odd_number(text, rng),
        lambda: _odd_number(text, rng),
        lambda: _typo(text, rng),
        lambda: _typo(text, rng),
        lambda: _lines(text, rng),
        lambda: _lines(text, rng),
        lambda: _word(text, rng),
        lambda: (text[: rng.randrange(len(text))], "its end is cut off"),
        lambda: ("\ufeff" + text, "a byte order mark is in front"),
        lambda: (text.replace("\n", "\r\n"), "its lines end as on Windows"),
        lambda: (rng.choice(("", "\n", " ", "\0")), "it is empty"),
    ]

    def way() -> Changed:
        changed, what = rng.choice(ways)()
        return encoded(changed), what

    return _differing(encoded(text), rng, [way])


def change_path(path: Path, rng: random.Random) -> str:
    """Put something else in a file's place: nothing, a folder, a named pipe, a socket, a link. Says what."""
    content = path.read_bytes()
    path.unlink()
    ways: dict[str, Callable[[], object]] = {
        "it is missing": lambda: None,
        "it is a folder": path.mkdir,
        "it is a named pipe": lambda: os.mkfifo(path),
        "it is a socket": lambda: _socket(path),
        "it is a link to nothing": lambda: path.symlink_to("nothing-there"),
        "it is a link to itself": lambda: path.symlink_to(path.name),
        "it is a link to a device": lambda: path.symlink_to("/dev/zero"),
        "it is a link to its folder": lambda: path.symlink_to("."),
        "it is a link to its content elsewhere": lambda: _linked(path, content),
    }
    what = rng.choice(sorted(ways))
    ways[what]()
    return what


def _differing(content: bytes, rng: random.Random, ways: Sequence[Callable[[], Changed]]) -> Changed:
    for _ in range(100):
        changed, what = rng.choice(ways)()
        if changed != content:
            return changed, what
    return content + b"\n", "a line end was added"


def _place(content: bytes, rng: random.Random) -> int:
    """Of a byte; every other time near one of the ends."""
    if rng.random() < 0.5:
        return rng.randrange(len(content))
    near = rng.randrange(min(_ENDS, len(content)))
    return near if rng.random() < 0.6 else len(content) - 1 - near


def _flipped(content: bytes, rng: random.Random) -> Changed:
    found = bytearray(content)
    count = rng.choice((1, 1, 1, 2, 8, 64))
    for _ in range(count):
        found[_place(content, rng)] ^= 1 << rng.randrange(8)
    return bytes(found), f"{count} bits were flipped"


def _cut(content: bytes, rng: random.Random) -> Changed:
    kept = rng.choice((_place(content, rng), len(content) - 1, rng.randrange(len(content))))
    return content[:kept], f"only {kept} of {len(content)} bytes are there"


def _range(content: bytes, rng: random.Random) -> tuple[int, int]:
    start = _place(content, rng)
    return start, min(len(content), start + rng.choice((1, 2, 4, 16, 256)))


def _taken_out(content: bytes, rng: random.Random) -> Changed:
    start, stop = _range(content, rng)
    return content[:start] + content[stop:], f"bytes {start} to {stop} are missing"


def _put_in(content: bytes, rng: random.Random) -> Changed:
    start, stop = _range(content, rng)
    new = rng.choice((rng.randbytes(stop - start), content[start:stop]))
    return content[:start] + new + content[start:], f"{len(new)} bytes were put in at {start}"


def _overwritten(content: bytes, rng: random.Random) -> Changed:
    start, stop = _range(content, rng)
    new = rng.choice((b"\0", b"\xff", b"\x7f", b"\x80", b"{", b'"')) * (stop - start)
    return content[:start] + new + content[stop:], f"bytes {start} to {stop} were overwritten by {new[:1]!r}"


def _spliced(content: bytes, rng: random.Random, donor: bytes) -> Changed:
    place = _place(content, rng)
    return content[:place] + donor[place:], f"from byte {place} on it is another file"


def _odd_character(text: str, rng: random.Random) -> tuple[str, str]:
    place, odd = rng.randrange(len(text) + 1), rng.choice(ODD_TEXT)
    return text[:place] + odd + text[place + rng.randrange(2) :], f"{odd!a} stands at {place}"


def _odd_number(text: str, rng: random.Random) -> tuple[str, str]:
    numbers = list(re.finditer(r"\d+(?:\.\d+)?", text))
    if not numbers:
        return _odd_character(text, rng)
    number, odd = rng.choice(numbers), rng.choice(ODD_NUMBERS)
    return text[: number.start()] + odd + text[number.end() :], f"{number[0]} became {odd[:30]!a}"


def _typo(text: str, rng: random.Random) -> tuple[str, str]:
    place = rng.randrange(len(text))
    other = rng.choice("abcxyz0189 .,:-_/[]{}=\n")
    changed = rng.choice(
        (text[:place] + text[place + 1 :], text[:place] + other + text[place + 1 :], text[:place] + text[place] + text[place:])
    )
    return changed, f"a typo at {place}"


def _lines(text: str, rng: random.Random) -> tuple[str, str]:
    lines = text.splitlines(keepends=True)
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    way = rng.choice(("taken out", "doubled", "swapped", "empty", "very long"))
    if way == "taken out":
        del lines[one]
    elif way == "doubled":
        lines.insert(other, lines[one])
    elif way == "swapped":
        lines[one], lines[other] = lines[other], lines[one]
    elif way == "empty":
        lines[one] = "\n"
    else:
        lines[one] = lines[one].rstrip("\n") + "x" * _LONG + "\n"
    return "".join(lines), f"line {one + 1}: {way}"


def _word(text: str, rng: random.Random) -> tuple[str, str]:
    words = list(re.finditer(r"\w+", text))
    if not words:
        return _odd_character(text, rng)
    one, other = rng.choice(words), rng.choice(words)
    new = rng.choice((other[0], other[0], "", one[0].upper(), one[0][::-1], one[0] * 2))
    return text[: one.start()] + new + text[one.end() :], f"'{one[0][:30]}' became '{new[:30]}'"


def _socket(path: Path) -> None:
    """A name of a socket may not be long: it is bound from the folder."""
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name[:100])
        if path.name[:100] != path.name:
            shutil.move(path.name[:100], path.name)
    finally:
        os.chdir(before)


def _linked(path: Path, content: bytes) -> None:
    elsewhere = path.parent / ".elsewhere"
    elsewhere.write_bytes(content)
    path.symlink_to(elsewhere.name)
