"""The README's commands, for tests that hold them against the code."""

import re
import shlex
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()


def commands(program: str) -> list[list[str]]:
    """The words of every line of the README's shell blocks, and of its inline code, that calls `program`."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", README, flags=re.DOTALL))
    lines = [line for block in blocks for line in block.splitlines()] + inline
    return [shlex.split(line, comments=True) for line in lines if line.split(" ")[0] == program]
