"""Decimal points of a column stand below each other."""

from bs4 import BeautifulSoup

from rotnet_lib.report.aligned import aligned


def widths(*texts: str) -> list[int]:
    """Characters from the decimal point to the end of each cell, what is only there for its width included."""
    shown = [BeautifulSoup(text, "html.parser").get_text() for text in aligned(texts)]
    return [len(text) - (text.index(".") if "." in text else len(text)) for text in shown]


def read(text: str) -> str:
    page = BeautifulSoup(text, "html.parser")
    for padding in page.select('[aria-hidden="true"]'):
        padding.decompose()
    return page.get_text()


def test_all_figures_end_at_the_same_distance_from_their_point() -> None:
    assert len(set(widths("92.8", "89.06", "21.00 ± 1.25", "-0.5"))) == 1


def test_no_digit_is_read_that_was_not_there() -> None:
    texts = ["92.8", "89.06", "100"]
    assert [read(text) for text in aligned(texts)] == texts


def test_words_are_left_alone_and_are_text() -> None:
    assert aligned(["failed <b>", "", "89.06"])[:2] == ["failed &lt;b&gt;", ""]
