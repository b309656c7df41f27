"""Annotations: boxes as pixel edges, and what is wrong in one named by file and line."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rotnet_lib.data.voc.classes import VOC_CLASSES
from rotnet_lib.data.voc.objects import class_names, read_objects

MessageOf = Callable[[Callable[[], object]], str]

CLASSES = tuple(VOC_CLASSES)

TEXT = """\
<annotation>
	<size>
		<width>40</width>
		<height>30</height>
	</size>
	<object>
		<name>person</name>
		<difficult>0</difficult>
		<bndbox>
			<xmax>40</xmax>
			<xmin>1</xmin>
			<ymax>30</ymax>
			<ymin>1</ymin>
		</bndbox>
		<part>
			<name>head</name>
			<bndbox><xmin>2</xmin><ymin>2</ymin><xmax>5</xmax><ymax>5</ymax></bndbox>
		</part>
	</object>
	<object>
		<name>dog</name>
		<bndbox><xmin>5.70</xmin><ymin>3</ymin><xmax>6</xmax><ymax>3</ymax></bndbox>
		<difficult>1</difficult>
	</object>
</annotation>
"""


@pytest.fixture
def annotation(tmp_path: Path) -> Callable[..., Path]:
    """Writes `TEXT` with a part of it replaced."""

    def write(old: str = "", new: str = "") -> Path:
        assert old in TEXT
        path = tmp_path / "000005.xml"
        path.write_text(TEXT.replace(old, new, 1) if old else TEXT)
        return path

    return write


def test_boxes_are_pixel_edges_from_0(annotation: Callable[..., Path]) -> None:
    objects = read_objects(annotation(), CLASSES, (40, 30))
    assert objects.boxes.dtype == np.float32
    expected = np.array([(0, 0, 40, 30), (4.7, 2, 6, 3)])  # the whole image; a part of a row
    np.testing.assert_allclose(objects.boxes, expected, rtol=1e-6)
    assert objects.labels.dtype == np.int64
    assert [CLASSES[label] for label in objects.labels] == ["person", "dog"]  # not the head, which is a part
    assert objects.difficult.tolist() == [False, True]
    assert len(objects) == 2


def test_iou_of_edges_is_the_devkits_with_its_plus_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    corners = np.sort(rng.integers(1, 31, (50, 2, 2)), axis=1).reshape(50, 4)  # xmin, ymin, xmax, ymax, some of one pixel
    path = tmp_path / "a.xml"
    tags = ("xmin", "ymin", "xmax", "ymax")
    inner = "".join(
        "<object><name>car</name><bndbox>"
        + "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(tags, box, strict=True))
        + "</bndbox></object>"
        for box in corners.tolist()
    )
    path.write_text(f"<annotation>{inner}</annotation>")
    edges = read_objects(path, CLASSES, (30, 30)).boxes

    def iou(boxes: np.ndarray, plus: float) -> np.ndarray:
        low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
        high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
        shared = np.clip(high - low + plus, 0, None).prod(axis=2)
        areas = (boxes[:, 2:] - boxes[:, :2] + plus).prod(axis=1)
        return np.asarray(shared / (areas[:, None] + areas[None] - shared))

    np.testing.assert_allclose(iou(edges.astype(float), 0), iou(corners.astype(float), 1))


@pytest.mark.parametrize("encoding", ["gbk", "klingon", "utf-16"])
def test_an_encoding_that_cannot_be_read_is_named(
    encoding: str, annotation: Callable[..., Path], message_of: MessageOf
) -> None:
    path = annotation("<annotation>", f"<?xml version='1.0' encoding='{encoding}'?><annotation>")
    assert message_of(lambda: read_objects(path, CLASSES, (40, 30))).startswith(f"{path}, line 1: broken XML (")


def test_an_image_without_objects_has_none(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text("<annotation/>")
    objects = read_objects(path, CLASSES, (40, 30))
    assert objects.boxes.shape == (0, 4)
    assert objects.labels.shape == objects.difficult.shape == (0,)


def test_names_are_those_of_objects_alone(annotation: Callable[..., Path]) -> None:
    assert class_names(annotation()) == [("person", 7), ("dog", 21)]


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("</size>", "</siz>", 5, "broken XML (mismatched tag)"),
        ("</annotation>", "", 26, "broken XML (no element found)"),
        ("<name>dog</name>", "", 20, "an object without <name>"),
        ("<name>dog</name>", "<name> </name>", 21, "name is empty"),
        ("<name>dog</name>", "<name>dgo</name>", 21, "unknown class 'dgo'; did you mean 'dog'? Allowed: aeroplane,"),
        ("<bndbox><xmin>5", "<box/><x><xmin>5", 22, "broken XML"),
        ("<xmin>1</xmin>", "", 9, "a bndbox without <xmin>"),
        ("<xmin>1</xmin>", "<xmin>left</xmin>", 11, "xmin is 'left', which is no number"),
        ("<xmin>1</xmin>", "<xmin>nan</xmin>", 11, "xmin is 'nan', which is no number"),
        ("<xmin>1</xmin>", "<xmin>0</xmin>", 9, "the box of the person (xmin 0, ymin 1, xmax 40, ymax 30) does not lie in its"),
        ("<xmax>40</xmax>", "<xmax>41</xmax>", 9, "1 <= xmin <= xmax <= 40 and 1 <= ymin <= ymax <= 30"),
        ("<ymax>30</ymax>", "<ymax>31</ymax>", 9, "does not lie in its image of 40 x 30 pixels"),
        ("<xmin>1</xmin>", "<xmin>41</xmin>", 9, "is empty"),
        ("<ymax>3</ymax>", "<ymax>2</ymax>", 22, "the box of the dog (xmin 5.70, ymin 3, xmax 6, ymax 2) is empty"),
        ("<difficult>1", "<difficult>yes", 23, "difficult is 'yes'. Allowed: 0, 1."),
        ("<width>40", "<width>30", 3, "width 30, but the image is 40 x 30 pixels"),
        ("<height>30</height>", "", 2, "a size without <height>"),
        ("</size>", "</size><size><width>1</width><height>1</height></size>", 5, "a second <size> in the annotation"),
        ("<width>40", "<width>41</width><width>40", 3, "a second <width> in the size"),
        ("<xmin>1</xmin>", "<xmin>1</xmin><xmin>2</xmin>", 11, "a second <xmin> in the bndbox, which has one on line 11"),
        ("<name>dog</name>", "<name>dog</name><name>cat</name>", 21, "a second <name> in the object"),
        ("<difficult>1", "<difficult>0</difficult><difficult>1", 23, "a second <difficult> in the object"),
        ("<xmin>1</xmin>", "<xmin>1_0</xmin>", 11, "xmin is '1_0', which is no number"),
        ("<xmin>1</xmin>", "<xmin>\u0661</xmin>", 11, "which is no number"),
        ("<xmin>1</xmin>", "<xmin>-inf</xmin>", 11, "xmin is '-inf', which is no number"),
        ("<xmin>1</xmin>", "<xmin>1e999</xmin>", 9, "is empty"),
        ("<xmin>1</xmin>", "<xmin>1<b/>2</xmin>", 11, "<b> has no place in <xmin>"),
        ("<name>dog</name>", "<name>d<b>.</b>og</name>", 21, "<b> has no place in <name>"),
        ("<name>dog</name>", "<name>" + 9000 * "dog" + "</name>", 21, "(27002 characters)"),
        ("<annotation>", "<!DOCTYPE annotation>\n<annotation>", 1, "broken XML (a document type, <!DOCTYPE>"),
        ("<annotation>", '<!DOCTYPE annotation SYSTEM "file:///etc/passwd">\n<annotation>', 1, "a document type"),
        ("<annotation>", 65 * "<a>" + "\n<annotation>", 1, "broken XML (more than 64 elements in each other)"),
        ("<name>dog", "<name>&dog;", 21, "broken XML (undefined entity)"),
        ("<name>dog", "<name>\0", 21, "broken XML (not well-formed"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_line(
    old: str, new: str, line: int, says: str, annotation: Callable[..., Path], message_of: MessageOf
) -> None:
    path = annotation(old, new)
    message = message_of(lambda: read_objects(path, CLASSES, (40, 30)))
    assert message.startswith(f"{path}, line {line}: ")
    assert says in message


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
        + "".join(f'<!ENTITY {b} "{10 * f"&{a};"}">' for a, b in itertools.pairwise("abcdefghij"))
        + "]><annotation>&j;</annotation>",
        '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><annotation><object><name>&e;</name></object></annotation>',
        100_000 * "<a>",
        "<annotation>" + 200_000 * "x<!-- -->" + "</annotation",
        "<" + 10**6 * "a",
        "",
        " ",
        "<annotation/><annotation/>",
    ],
    ids=["entities in entities", "another file", "nested", "many pieces", "a long tag", "empty", "a space", "two roots"],
)
def test_hostile_xml_is_refused_at_once(text: str, tmp_path: Path, message_of: MessageOf) -> None:
    path = tmp_path / "a.xml"
    path.write_text(text)
    message = message_of(lambda: read_objects(path, CLASSES, (40, 30)))
    assert message.startswith(f"{path}, line 1: ")
    assert len(message) < 500


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "cp1252", "utf-8"])
def test_an_encoding_that_says_what_it_is_is_read(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    text = (
        "<annotation><object><name>caf\xe9</name><bndbox><xmin>.5e1</xmin><ymin>1.</ymin><xmax>+9</xmax><ymax>9</ymax></bndbox>"
    )
    path.write_bytes(f"<?xml version='1.0' encoding='{encoding}'?>\n{text}</object></annotation>".encode(encoding))
    objects = read_objects(path, ("caf\xe9",), (40, 30))
    np.testing.assert_array_equal(objects.boxes, [[4, 0, 9, 9]])


def test_an_encoding_that_lies_leads_to_no_other_class(tmp_path: Path, message_of: MessageOf) -> None:
    path = tmp_path / "a.xml"
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    text = f"<annotation><object><name>caf\xe9</name>{box}</object></annotation>"
    path.write_bytes(f"<?xml version='1.0' encoding='latin-1'?>\n{text}".encode())
    assert f"{path}, line 2: unknown class" in message_of(lambda: read_objects(path, ("caf\xe9",), (40, 30)))


def test_an_object_without_a_box_is_named_by_its_own_line(annotation: Callable[..., Path], message_of: MessageOf) -> None:
    path = annotation("<bndbox><xmin>5.70</xmin><ymin>3</ymin><xmax>6</xmax><ymax>3</ymax></bndbox>", "")
    assert message_of(lambda: read_objects(path, CLASSES, (40, 30))) == f"{path}, line 20: an object without <bndbox>."


def test_another_kind_of_xml_is_named(tmp_path: Path, message_of: MessageOf) -> None:
    path = tmp_path / "a.xml"
    path.write_text("<!-- a page -->\n<html/>")
    message = message_of(lambda: read_objects(path, CLASSES, (40, 30)))
    assert message == f"{path}, line 2: expected <annotation>, VOC's root element, not <html>."


def test_an_annotation_that_is_not_there_is_named(tmp_path: Path, message_of: MessageOf) -> None:
    assert str(tmp_path / "a.xml") in message_of(lambda: read_objects(tmp_path / "a.xml", CLASSES, (40, 30)))
