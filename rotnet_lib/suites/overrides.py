"""`SET="epochs=20 probe.lr=0.05"`: the user's word over presets and suites."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rotnet_lib.errors import RotnetError, shown, unknown
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.stages import STAGES
from rotnet_lib.suites.suite import SuiteRun
from rotnet_lib.yaml_reader import parse_yaml

DECIDED = frozenset({"seed", "runs", "backbone", "layer", "fold", "pu_weights", "others", "compare"})
"""Parameters that SEEDS, RUNS and the suite's rows decide."""


@dataclass(frozen=True)
class Override:
    """One `name=value`, for every run that has the parameter, the runs of one notebook, or one run.

    Attributes:
        target: a notebook's or a run's name, or None for all.
        path: the parameter, or the parameter and a key in it (`task_options`, `angles`).
        value: read as YAML, so `true`, `0.1` and `[0, 180]` mean what they look like.
    """

    target: str | None
    path: tuple[str, ...]
    value: Any

    def apply(self, key: str, run: SuiteRun, values: dict[str, Any]) -> None:
        """Put the value into what the user says of a run, if it is meant for that run.

        What is meant for several runs is passed over where it means nothing.

        Args:
            key: the run's.
            run: of the suite.
            values: what the user says of it, so far.

        Raises RotnetError for a key in a parameter that another override has set to something without keys.
        """
        if self.target not in (None, key, run.notebook):
            return
        name, *rest = self.path
        schema = STAGES[run.notebook].config
        if self.target is None and name not in schema.model_fields:
            return
        if self.target != key and name in schema.without_meaning(run.set):
            return
        if not rest:
            values[name] = self.value
            return
        before = values.get(name) or {}
        if not isinstance(before, dict):
            raise RotnetError(
                f"SET: {name}.{rest[0]} sets a key of {name}, which is set to {shown(before)}. Drop one of the two."
            )
        values[name] = before | {rest[0]: self.value}


def parse_overrides(text: str, suite: str, runs: Mapping[str, SuiteRun], not_asked: Collection[str] = ()) -> list[Override]:
    """The overrides in a space-separated text, for the runs of a suite; a value may hold spaces only inside brackets.

    Args:
        text: what SET says.
        suite: its name.
        runs: of the suite.
        not_asked: methods that could have runs in the suite, but METHODS does not name them.

    Raises RotnetError for a word that is no `name=value`, and for a name that no run of the suite has.
    """
    return [_parse(word, suite, runs, not_asked) for word in _words(text)]


def _words(text: str) -> Iterable[str]:
    depth, word = 0, ""
    for character in text + " ":
        depth += (character in "[{") - (character in "]}")
        if character.isspace() and depth <= 0:
            if word:
                yield word
            word = ""
        else:
            word += character
    if word:
        raise RotnetError(f"SET: a bracket is not closed in '{word.strip()}'.")


def _parse(word: str, suite: str, runs: Mapping[str, SuiteRun], not_asked: Collection[str]) -> Override:
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise RotnetError(f"SET: '{word}' is no name=value. Example: SET=\"epochs=20 probe.lr=0.05\".")
    if not value:
        raise RotnetError(f"SET: '{word}' says no value. Say one, or a word such as {name}=auto.")
    target, path = None, tuple(name.split("."))
    alone = len(path) == 1 and path[0] in DECIDED  # which a notebook may be called as well
    if path[0] in (*runs, *STAGES) and not alone:
        target, path = path[0], path[1:]
    elif len(path) > 1 and all(path[0] not in STAGES[run.notebook].config.model_fields for run in runs.values()):
        problem = unknown(f"target of '{word}' in SET,", path[0], (*STAGES, *runs))
        for method in not_asked:
            if f"-{method}-" in f"-{path[0]}-":
                raise RotnetError(f"{problem} METHODS={method} (or core,{method}) adds runs of {method}.")
        raise problem
    notebooks = {run.notebook for key, run in runs.items() if target in (None, key, run.notebook)}
    if not notebooks:
        raise unknown(
            f"target of '{word}' in SET,", target or "", (*dict.fromkeys(run.notebook for run in runs.values()), *runs)
        )
    fields = sorted({field for notebook in notebooks for field in STAGES[notebook].config.model_fields} - DECIDED)
    if path and path[0] in DECIDED:
        raise RotnetError(f"SET: {path[0]} is not to be set: SEEDS, RUNS or the suite decides it. Try it by `rotnet run`.")
    if not path or path[0] not in fields:
        where = f" of {target}" if target else f" of {suite}"
        raise unknown(f"parameter{where} in SET", ".".join(path) or name, fields)
    if len(path) > 2:
        raise RotnetError(f"SET: '{name}' goes too deep; at most parameter.key=value.")
    if len(path) == 2:
        keyed = {field for notebook in notebooks for field in _with_keys(STAGES[notebook].config)}
        if path[0] not in keyed:
            raise RotnetError(
                f"SET: '{name}' sets a key of {path[0]}, which has none. Parameters that have keys: "
                f"{', '.join(sorted(keyed)) or 'none'}."
            )
    return Override(target, path, parse_yaml(value, f"SET: the value of '{word}'"))


def _with_keys(schema: type[RunConfig]) -> list[str]:
    """The parameters of a stage that are dictionaries."""
    return [name for name in schema.model_fields if schema.has_keys(name)]
