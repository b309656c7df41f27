"""Imports of the library run downwards: a package is written for what is above it, and knows nothing of that."""

import ast
from collections.abc import Iterator
from pathlib import Path

import rotnet_lib

FLOORS = (
    ("cli", "doctor", "bench"),
    ("suites",),
    ("report",),
    ("voc",),
    ("stages",),
    ("evaluation",),
    ("pretext",),
    ("training",),
    ("runs",),
    ("models",),
    ("data",),
    ("watchdog", "registry", "files", "paths", "seeds", "errors"),
)
"""Packages and modules of `rotnet_lib`, from the top down."""

ROOT = Path(rotnet_lib.__file__).parent
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}


def imported(path: Path) -> Iterator[str]:
    """The packages and modules of the library that a file imports, at its beginning or later."""
    for node in ast.walk(ast.parse(path.read_text())):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        for module in modules:
            first, _, rest = module.partition(".")
            if first == "rotnet_lib" and rest and rest != "__version__":
                yield rest.partition(".")[0]


def test_every_package_has_a_floor() -> None:
    names = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert names - {"__init__"} == set(FLOOR)


def test_imports_run_downwards() -> None:
    upwards = []
    for path in ROOT.rglob("*.py"):
        own = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if own != "__init__":
            upwards += [f"{path.relative_to(ROOT)} imports {other}" for other in imported(path) if FLOOR[other] < FLOOR[own]]
    assert not upwards
