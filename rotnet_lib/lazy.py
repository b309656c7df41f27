"""torch for the files that are read to plan runs: imported when it is first used, not when the file is.

Importing torch takes seconds. What a suite's runs are (their parameters, names and state) can be said without it, so the
files that declare archs, classifiers and pretext tasks write

    from rotnet_lib.lazy import nn, torch

in place of `import torch`. They use torch only in the bodies of functions, and `from __future__ import annotations` keeps their
annotations from being evaluated. A class derived from `nn.Module` needs torch when its file is imported, and what runs in a
module's forward pass must be plain torch for torch.compile. Both go into files that import torch itself.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch as torch
    from torch import nn as nn
else:

    class _Lazy:
        """A module that is imported when one of its attributes is asked for."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(importlib.import_module(self._name), attribute)

        def __repr__(self) -> str:
            return f"<{self._name}, imported when it is used>"

    torch, nn = _Lazy("torch"), _Lazy("torch.nn")

__all__ = ["nn", "torch"]
