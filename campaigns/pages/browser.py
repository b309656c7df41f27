"""What a browser finds in a page: what it asks for elsewhere, what is too wide for the window, what not everybody can read."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from rotnet_lib.errors import RotnetError

LARGEST = 3_000_000
"""Bytes that a page may have."""

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
_FLAGS = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")


@dataclass(frozen=True)
class Look:
    """How a page is looked at.

    Attributes:
        name: of the look.
        width: of the window in pixels.
        dark: whether the reader asks for dark pages.
        vision: how the picture is changed, as Chromium simulates it.
    """

    name: str
    width: int
    dark: bool = False
    vision: str = "none"


LOOKS = (
    Look("wide", 1280),
    Look("phone", 390),
    Look("dark", 1280, dark=True),
    Look("dark-phone", 390, dark=True),
)
"""The looks that must be without findings."""

DEUTERANOPIA = Look("deuteranopia", 1280, vision="deuteranopia")
"""To be looked at: no checker tells whether the lines of a plot can be told apart."""


def chromium() -> str | None:
    """The path of a Chromium that is installed here; None without one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def started() -> Iterator[Browser]:
    """Chromium, without a window. Raises RotnetError where none is installed."""
    path = chromium()
    if path is None:
        raise RotnetError(f"no Chromium here (looked for {', '.join(NAMES)}). Debian and Ubuntu: apt install chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS), chromium_sandbox=False)
        try:
            yield browser
        finally:
            browser.close()


def findings(browser: Browser, path: Path, look: Look, shots: Path | None = None) -> list[str]:
    """What is wrong with a page, a sentence each; nothing for a page that is as it should be.

    Every folded part is opened, since a checker sees no others.

    Args:
        browser: see `started`.
        path: the page's file.
        look: how it is looked at.
        shots: folder for a picture of it; None: none is taken.
    """
    found = []
    if (size := path.stat().st_size) > LARGEST:
        found.append(f"{size / 1e6:.1f} MB, above {LARGEST / 1e6:.0f}")
    asked: list[str] = []
    said: list[str] = []
    page = browser.new_page(viewport={"width": look.width, "height": 900}, color_scheme="dark" if look.dark else "light")
    try:
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.resolve().as_uri())
        own = path.resolve().as_uri()
        found += [f"asks for {url}" for url in asked if url != own and not url.startswith("data:")]
        found += [f"the script fails: {error}" for error in said]
        if shots is not None:
            _keep(page, look, shots / f"{path.parent.name}-{look.name}.png")
        page.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
        wider = page.evaluate("document.scrollingElement.scrollWidth - window.innerWidth")
        if wider > 0:
            found.append(f"{wider} pixels wider than the window")
        found += _violations(page)
    finally:
        page.close()
    return found


def _violations(page: Page) -> list[str]:
    """What axe-core finds, with the first element that it finds it in."""
    return [
        f"{violation['id']} ({violation['impact']}): {violation['help']}: {len(violation['nodes'])} of "
        f"{violation['nodes'][0]['html'][:120]} {violation['nodes'][0].get('failureSummary', '')[:200]}"
        for violation in Axe().run(page, options=_RULES).response["violations"]
    ]


def _keep(page: Page, look: Look, path: Path) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setEmulatedVisionDeficiency", {"type": look.vision})
    page.screenshot(path=path, full_page=True)
