"""The commands of README, docs/usage.md and docs/transfer.md, for tests that hold them against the code."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = "\n".join((ROOT / name).read_text() for name in ("README.md", "docs/usage.md", "docs/transfer.md"))
"""The texts, one after the other."""


def commands(program: str) -> list[list[str]]:
    """The words of every line of their shell blocks, and of their inline code, that calls `program`."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", README, flags=re.DOTALL))
    lines = [line for block in blocks for line in block.splitlines()] + inline
    return [shlex.split(line, comments=True) for line in lines if line.split(" ")[0] == program]
