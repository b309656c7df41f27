"""XML as a tree that knows its lines: what is wrong in an annotation is to be found again."""

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from rotnet_lib.errors import RotnetError


@dataclass(slots=True)
class Element:
    """An element: its tag, the line it begins on (from 1), its text without the spaces about it, what stands in it."""

    tag: str
    line: int
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def first(self, tag: str) -> "Element | None":
        """The first child of that tag. Not of what stands deeper: VOC's people have parts with names and boxes of their own."""
        return next((child for child in self.children if child.tag == tag), None)


def parse(path: Path) -> Element:
    """The root element of an XML file. Raises RotnetError naming file and line of what is broken."""
    open_elements = [Element("", 0)]

    def start(tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, parser.CurrentLineNumber)
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def text(characters: str) -> None:
        open_elements[-1].text += characters

    def end(tag: str) -> None:
        element = open_elements.pop()
        element.text = element.text.strip()

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.CharacterDataHandler, parser.EndElementHandler = start, text, end
    try:
        parser.Parse(path.read_bytes(), True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # the last two: an encoding that cannot be read
        reason = expat.ErrorString(error.code) if isinstance(error, expat.ExpatError) else error
        line = parser.CurrentLineNumber
        raise RotnetError(f"{path}, line {line}: broken XML ({reason}). Replace it by the original or correct it.") from None
    except OSError as error:
        raise RotnetError(f"cannot read the annotation {path}: {error.strerror}.") from None
    return open_elements[0].children[0]
