"""The list of contents of a long page."""

import re
from html import escape, unescape

_HEADING = re.compile(r"<h2(?: id=\"([^\"]*)\")?>(.*?)</h2>", re.DOTALL)
_TAGS = re.compile(r"<[^>]*>")
_LONG = 5
"""Sections from which a page has a list of contents."""


def with_contents(body: str) -> str:
    """A page whose sections (`<h2>`) can be linked to; before the first of many stands a list of them, folded.

    Args:
        body: the page's HTML.
    """
    names: list[tuple[str, str]] = []

    def named(match: re.Match[str]) -> str:
        text = unescape(_TAGS.sub("", match[2])).strip().rstrip("¶")
        name = match[1] or re.sub(r"\W+", "-", text.lower()).strip("-") or "section"
        while any(name == other for other, _ in names):
            name += "-2"
        names.append((name, text))
        return f'<h2 id="{escape(name)}">{match[2]}</h2>'

    body = _HEADING.sub(named, body)
    if len(names) < _LONG:
        return body
    items = "".join(f'<li><a href="#{escape(name)}">{escape(text)}</a></li>' for name, text in names)
    where = body.index("<h2 id=")
    return f'{body[:where]}<details class="contents"><summary>Contents</summary><ol>{items}</ol></details>\n{body[where:]}'
