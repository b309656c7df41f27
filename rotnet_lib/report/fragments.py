"""Pieces of HTML from templates.

Apart from `html.py`, because every notebook's kernel shows some and should not wait for nbconvert to be imported.
"""

import re
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from rotnet_lib.runs.metrics import digits

_CODE = re.compile(r"`([^`\n]+)`")

TEMPLATES = resources.files("rotnet_lib.report") / "templates"


def style() -> str:
    """The style sheet of every page."""
    return (TEMPLATES / "style.css").read_text(encoding="utf-8")


def script() -> str:
    """The script of every page: sorting of tables, copying, printing."""
    return (TEMPLATES / "script.js").read_text(encoding="utf-8")


def page(template: str, *, title: str, **values: Any) -> str:
    """A page from one of the templates that extend `page.html.j2`, as `fragment`.

    Args:
        template: its file.
        title: what stands in the browser's tab.
        values: what the template shows.
    """
    return fragment(template, title=title, style=style(), script=script(), **values)


def fragment(template: str, **values: Any) -> str:
    """HTML from one of the templates, values escaped.

    `value | digits(unit)` is a figure without its unit, `text | code` a text whose parts between backticks are code.
    """
    environment = Environment(
        loader=PackageLoader("rotnet_lib.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {"digits": digits, "code": _with_code}
    return environment.get_template(template).render(**values)


def _with_code(text: str) -> Markup:
    """A text as HTML, escaped, with what stands between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))
