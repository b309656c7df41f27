"""The parameters of the report notebook: which suite, by which plan."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from rotnet_lib.errors import RotnetError
from rotnet_lib.paths import from_project
from rotnet_lib.runs.directory import PLAN
from rotnet_lib.runs.stage_config import EXECUTION, StageConfig
from rotnet_lib.stages.backbone_config import NEWEST


class ReportConfig(StageConfig):
    """Which suite to report on."""

    stage: ClassVar[str] = "report"

    suite: str = Field("table3", description="the suite's name")
    plan: str = Field(
        NEWEST, description="plan.json of the suite's runs; newest: the newest below `runs`", json_schema_extra=EXECUTION
    )

    def plan_file(self) -> Path:
        """The plan. Raises RotnetError if the newest is asked for, and the suite has none."""
        if self.plan != NEWEST:
            return from_project(self.plan)
        root = from_project(self.runs)
        plans = sorted(root.glob(f"{self.suite}-*/{PLAN}"), key=lambda path: -path.stat().st_mtime)
        if not plans:
            raise RotnetError(f"no plan of suite '{self.suite}' in {root}. Make one: make reproduce-{self.suite}.")
        return plans[0]
