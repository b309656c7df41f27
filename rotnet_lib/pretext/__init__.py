"""Pretext tasks: what turns images into inputs, a loss and its metrics. The trainer knows none of them by name.

A new one is a file here with a class under `@TASKS.register("name")`. All files here are read when runs are planned, so they
import no torch; what they are built of, in `parts`, may.
"""

import importlib
import pkgutil

from rotnet_lib.pretext.task import TASKS, make_task

__all__ = ["TASKS", "make_task"]

for _found in pkgutil.iter_modules(__path__, f"{__name__}."):
    if not _found.ispkg:
        importlib.import_module(_found.name)
