"""Which finished runs of before can get the names that they have today, and why others cannot (`rotnet migrate`).

A run's name is a hash of what decides its result. It changes, and the result does not, where the formula of a fingerprint was
changed (`data.image_versions`), a parameter was added, or a run that it builds on gets another name.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rotnet_lib.data.source import open_source
from rotnet_lib.errors import RotnetError
from rotnet_lib.paths import from_project
from rotnet_lib.runs.ancestors import UPSTREAM
from rotnet_lib.runs.config import ImagesConfig, RunConfig
from rotnet_lib.runs.directory import all_runs, directory_of
from rotnet_lib.runs.identity import result_checksum, version_of
from rotnet_lib.runs.renamed import names_now
from rotnet_lib.runs.resolution import GIVEN, Said
from rotnet_lib.runs.schema import RunResult
from rotnet_lib.stages import STAGES
from rotnet_lib.stages.backbone_config import UNTRAINED
from rotnet_lib.suites.dependents import in_use, no_suite_at_work, parameters_of, with_upstream
from rotnet_lib.suites.renaming import Renaming, check_free, keep_one, rename, same_but_for_names
from rotnet_lib.temporary import remove_left_folders


@dataclass(frozen=True)
class Migration:
    """What becomes of the finished runs in a folder.

    Attributes:
        renamings: upstream runs first.
        kept: name of a run that cannot get today's -> why.
        damaged: name of a damaged run, which is left alone -> why.
        current: how many have today's names.
    """

    renamings: tuple[Renaming, ...]
    kept: Mapping[str, str]
    damaged: Mapping[str, str]
    current: int


def plan_migration(runs: str) -> Migration:
    """What becomes of the finished runs in a folder. Changes nothing, but removes what killed processes left half renamed."""
    remove_left_folders(from_project(runs))
    planner = _Planner(runs)
    for name in sorted(planner.found):
        planner.decide(name)
    current = len(planner.found) - len(planner.renamings) - len(planner.kept)
    return Migration(tuple(planner.renamings.values()), planner.kept, planner.damaged, current)


def report(migration: Migration) -> str:
    """The migration for a person: a line for each run that has not today's name, and how many there are."""
    lines = [
        f"{one.name}: its copy {one.after.run} is complete (an earlier call was interrupted); {one.name} is removed"
        if one.copied
        else f"{one.name} becomes {one.after.run}"
        for one in migration.renamings
    ]
    lines += [f"{name} stays: {why}" for name, why in migration.kept.items()]
    lines += [f"{name} is left alone: {why}" for name, why in migration.damaged.items()]
    have = "1 has today's name" if migration.current == 1 else f"{migration.current} have today's names"
    lines.append(f"finished runs: {len(migration.renamings)} can be renamed, {len(migration.kept)} cannot, {have}.")
    return "\n".join(lines + ([f"damaged runs: {len(migration.damaged)}."] if migration.damaged else []))


def migrate(migration: Migration, runs: str, say: Callable[[str], None] = print) -> None:
    """Rename the runs. If the process is killed, a second call goes on.

    Args:
        migration: of `plan_migration`.
        runs: the folder of runs, in which no suite may be at work meanwhile.
        say: told of each run that was renamed.

    Raises RotnetError as `rename` does, at the first run: the others keep their names, since they may build on it.
    """
    root = from_project(runs)
    with no_suite_at_work(root):
        for one in migration.renamings:
            rename(root, one)
            say(f"renamed: {one.name} to {one.after.run}")


class _Planner:
    """Decides what becomes of the finished runs in a folder. What several runs share is looked at once.

    Attributes:
        found: the finished runs, by name.
        damaged: those that are, and why.
        renamings: those that get another name: first what was copied before a process was killed, then upstream runs first.
        kept: those that cannot, and why.
    """

    def __init__(self, runs: str) -> None:
        self._runs, self._root = runs, from_project(runs)
        everything = all_runs(self._root)
        self.found = {run.name: run.result() for run in everything if run.finished}
        self.damaged = {run.name: damage for run in everything if (damage := run.damage)}
        self.kept: dict[str, str] = {}
        self._names = names_now(self.found.values())
        parameters = {run.name: parameters_of(run) for run in everything}
        self._busy = with_upstream({*in_use(everything)}, parameters, self._names)
        both = {old: new for old, new in self._names.items() if old in self.found}
        copied = [old for old, new in both.items() if same_but_for_names(self.found[old], self.found[new])]
        self.renamings = {old: Renaming(old, self.found[old], self.found[both[old]], copied=True) for old in copied}
        self._made_again = {old: new for old, new in both.items() if old not in self.renamings}
        self._decided = {*copied}
        self._fingerprints: dict[tuple[Any, ...], str] = {}
        self._changes: dict[tuple[Any, ...], str | None] = {}

    def decide(self, name: str) -> None:
        """Enter what becomes of a run, and first of those that it builds on."""
        if name in self._decided:
            return
        self._decided.add(name)
        for _, _, other in self._upstream(self.found[name].parameters):
            if self._latest(other) in self.found:
                self.decide(self._latest(other))
        try:
            renaming = self._renaming(name, self.found[name])
        except RotnetError as error:
            self.kept[name] = str(error)
            return
        if renaming:
            self.renamings[name] = renaming
            self._names |= dict.fromkeys(renaming.after.renamed_from, renaming.after.run)

    def _renaming(self, name: str, before: RunResult) -> Renaming | None:
        """How a run gets today's name; None if it has it. Raises RotnetError if it cannot."""
        if other := self._made_again.get(name):
            raise RotnetError(f"it was made again after it was renamed to {other}. {keep_one(earlier=other, later=name)}")
        config = self._config(before)
        if (version := version_of(name, before)) != config.version:
            raise RotnetError(
                f"it is of version {version} of {config.stage}, and by version {config.version}, today's, the same parameters "
                "compute something else. Make it again."
            )
        fingerprint = self._fingerprint(config)
        directory = directory_of(config, fingerprint)
        if directory.name == name:
            return None
        if name in self._busy:
            raise RotnetError("it, or a run that builds on it, is being written. Wait for that to end, or stop it.")
        if (self._root / name).is_symlink():
            raise RotnetError(f"it is a link. Rename the run where it leads: --runs {(self._root / name).resolve().parent}")
        self._check_upstream(before.parameters)
        if fingerprint != before.data.fingerprint:
            self._check_data(config, before)
        check_free(directory.path, name)
        if twin := next((one.name for one in self.renamings.values() if one.after.run == directory.name), None):
            raise RotnetError(f"by today's parameters it is the same run as {twin}, which gets the name {directory.name}.")
        return Renaming(name, before, self._renamed(before, config, directory.name, fingerprint))

    def _latest(self, name: str) -> str:
        """The latest name of a run that is known so far: its own, if it has had no other or was made again under it."""
        return name if name in self._made_again else self._names.get(name, name)

    def _upstream(self, parameters: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
        """The parameters that name runs, the values that do, and the run's name, "" of one that is not to be in this folder."""
        for key in UPSTREAM:
            values = parameters.get(key)
            for value in values if isinstance(values, list) else [values]:
                if isinstance(value, str) and value not in UNTRAINED:
                    path = self._root / value if (self._root / value).exists() else from_project(value)
                    if path.is_relative_to(self._root):
                        yield key, value, "".join(path.relative_to(self._root).parts[:1])
                    else:
                        yield key, value, value if Path(value).name == value and not path.exists() else ""

    def _check_upstream(self, parameters: Mapping[str, Any]) -> None:
        for key, _, other in self._upstream(parameters):
            if self._latest(other) in self.kept:
                raise RotnetError(f"its {key}, {other}, stays.")
            if other and other not in self.found and other not in self._names:
                raise RotnetError(f"its {key}, {other}, is no finished run in {self._root}: its current name is unknown.")

    def _config(self, result: RunResult) -> RunConfig:
        """The config of today with a run's parameters, and with today's names of the runs that it builds on."""
        given = result.parameters | {"runs": self._runs}
        for key, value, other in self._upstream(result.parameters):
            if other in self._names:
                new = value.replace(other, self._latest(other))
                given[key] = [new if one == value else one for one in given[key]] if isinstance(given[key], list) else new
        planned = {one.after.run: one.after.parameters for one in self.renamings.values()}
        return STAGES[result.stage].config.resolve([Said(GIVEN, given)], planned=planned).config

    def _fingerprint(self, config: RunConfig) -> str:
        data = config.source()
        if data not in self._fingerprints:
            try:
                self._fingerprints[data] = config.fingerprint()
            except RotnetError as error:
                raise RotnetError(f"its data is not here: {error}") from None
        return self._fingerprints[data]

    def _check_data(self, config: RunConfig, result: RunResult) -> None:
        """Raises RotnetError unless the run saw the images that it would see today, whose fingerprint is another."""
        fast = isinstance(config, ImagesConfig) and (config.stream or config.shrink is not None)
        left_out = tuple(result.data.damaged)
        what = (config.source(), result.data.fingerprint, left_out, fast)
        if what not in self._changes:
            self._changes[what] = _change(config, result.data.fingerprint, left_out, fast)
        if change := self._changes[what]:
            raise RotnetError(f"{change}. Make it again.")

    def _renamed(self, before: RunResult, config: RunConfig, name: str, fingerprint: str) -> RunResult:
        """A run's result, with its name of today and what that is made from."""
        after = before.model_copy(deep=True)
        after.run, after.renamed_from = name, [*before.renamed_from, before.run]
        after.parameters = config.model_dump(mode="json") | {"runs": before.parameters["runs"]}
        if before.execution is not None:
            after.execution = [field for field in type(config).model_fields if config.role(field) == "execution"]
        after.later = config.later_parameters()
        after.data.fingerprint = fingerprint
        read = (file.partition("/") for file in before.unverified)
        after.unverified = [f"{self._latest(folder)}{slash}{file}" for folder, slash, file in read]
        if before.checksum is not None:
            after.checksum = result_checksum(json.loads(after.model_dump_json()))
        return after


def _change(config: RunConfig, fingerprint: str, left_out: tuple[str, ...], fast: bool) -> str | None:
    """Why a run saw other data than it would see today; None: it did not. `left_out` and `fast` as `changed_file`."""
    from rotnet_lib.data import image_versions  # imports torch

    source = open_source(*config.source()) if isinstance(config, ImagesConfig) else None
    version = image_versions.version_of(source, fingerprint) if source else None
    if source is None or version is None:
        return f"its data ({config.dataset}) has changed since, or other files of it are read today"
    return image_versions.changed_file(source, version, left_out, fast=fast)
