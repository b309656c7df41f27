"""What answers at once: planning, status and wrong names import neither torch nor papermill, which take seconds."""

import subprocess
import sys

import pytest

ANSWERED = ("--help", "status", "status table7 --preset quick", "reproduce cifar10 --dry-run --preset quick")
REFUSED = (
    "reproduce tabel3",
    "reproduce table3 --preset qick",
    "reproduce table3 --preset quick --set epoch=3",
    "run prob",
    "run probe -p layr conv2",
)
SCRIPT = """
import sys
from rotnet_lib.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    code = ended.code
heavy = [name for name in ("torch", "torchvision", "papermill", "pandas", "matplotlib") if name in sys.modules]
sys.exit(f"imported {heavy}" if heavy else code)
"""


@pytest.mark.parametrize("command", [*ANSWERED, *REFUSED])
def test_it_imports_nothing_heavy(command: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, *command.split()], capture_output=True, text=True)
    assert "imported" not in done.stderr
    assert "Traceback" not in done.stderr
    assert (done.returncode == 0) == (command in ANSWERED), done.stderr
