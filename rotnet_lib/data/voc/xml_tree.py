"""XML as a tree that knows its lines: what is wrong in an annotation is to be found again."""

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from rotnet_lib.data.opening import read_file, shown
from rotnet_lib.errors import RotnetError

_MOST = 2**22
"""Bytes. An annotation of VOC has a few thousand, one of a thousand objects 400 000."""
_DEEPEST = 64
"""Elements in each other; VOC's have five."""
_REMEDY = "Replace it by the original or correct it."


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
    """The root element of an XML file.

    Raises RotnetError, naming file and line: it is no file or cannot be read, is larger than 4 MiB, broken or nested deeper
    than 64 elements, or declares a document type: its entities could make a page of a line, or bring in other files.
    """
    content = read_file(path, _REMEDY, _MOST)
    open_elements = [Element("", 0)]
    texts: list[list[str]] = [[]]

    def wrong(what: object) -> RotnetError:
        return RotnetError(f"{shown(path)}, line {parser.CurrentLineNumber}: {what}. {_REMEDY}")

    def document_type(*_: object) -> None:
        raise wrong("broken XML (a document type, <!DOCTYPE>, has no place in an annotation)")

    def start(tag: str, attributes: dict[str, str]) -> None:
        if len(open_elements) > _DEEPEST:
            raise wrong(f"broken XML (more than {_DEEPEST} elements in each other)")
        element = Element(tag, parser.CurrentLineNumber)
        open_elements[-1].children.append(element)
        open_elements.append(element)
        texts.append([])

    def text(characters: str) -> None:
        texts[-1].append(characters)

    def end(tag: str) -> None:
        open_elements.pop().text = "".join(texts.pop()).strip()

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = document_type
    parser.StartElementHandler, parser.CharacterDataHandler, parser.EndElementHandler = start, text, end
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # the last two: an encoding that cannot be read
        reason = expat.ErrorString(error.code) if isinstance(error, expat.ExpatError) else error
        raise wrong(f"broken XML ({reason})") from None
    return open_elements[0].children[0]
