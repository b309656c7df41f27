"""Pretext tasks: what turns images into inputs, a loss and its metrics. The trainer knows none of them by name.

A new one is a file here with a class under `@TASKS.register("name")`, imported below.
"""

from rotnet_lib.pretext.decoupling import Decoupling
from rotnet_lib.pretext.labels import Labels
from rotnet_lib.pretext.rotation import Rotation
from rotnet_lib.pretext.rotation_instance import RotationInstance
from rotnet_lib.pretext.task import TASKS, make_task

__all__ = ["TASKS", "Decoupling", "Labels", "Rotation", "RotationInstance", "make_task"]
