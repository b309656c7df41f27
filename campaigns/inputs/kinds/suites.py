"""Suites and presets as YAML, and what a user says about a suite: options, SET."""

import random
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from campaigns.inputs.kinds.files import FileKind
from campaigns.inputs.kinds.same import comes_back
from campaigns.inputs.mutations import ODD_NUMBERS, ODD_TEXT, change_text
from campaigns.inputs.trial import Input, Kind
from campaigns.inputs.values import alike, odd_value, quoted, shown
from rotnet_lib.stages import STAGES
from rotnet_lib.suites.documents import METHODS, PRESETS, SUITES
from rotnet_lib.suites.methods import load_methods
from rotnet_lib.suites.plan import Options, Plan, plan_suite, upstream_first
from rotnet_lib.suites.presets import Preset, preset_named
from rotnet_lib.suites.suite import Suite, load_collection, load_suite

_ROTNET = {"{method}": "rotnet", "{method-}": "", "{task}": "rotation", "{label}": "RotNet"}
"""What the words of a suite with rows for methods stand for, where METHODS is not said."""


class SuiteFile(FileKind):
    name = "suite"
    right = (
        "where the YAML holds the same as the good one, the same suite; else title, source, runs (their notebook, backbone and "
        "parameters) and rows as the file has them"
    )
    form = "yaml"
    suite = "table3"

    def prepare(self, folder: Path) -> None:
        (folder / "suites").mkdir()
        for file in SUITES.glob("*.yaml"):
            shutil.copy(file, folder / "suites")

    def file(self, folder: Path) -> Path:
        return folder / "suites" / f"{self.suite}.yaml"

    def donors(self, folder: Path) -> Iterable[Path]:
        return [folder / "suites" / f"{name}.yaml" for name in ("figure5b", "cifar10", "presets", "questions")]

    def change(self, folder: Path, good: Path, rng: random.Random) -> Input:
        given = super().change(folder, good, rng)
        return Input(folder, good, given.what, (*given.culprits, f"'{self.suite}'", "preset '"))  # what the file had

    def read(self, given: Input) -> Any:
        suite = load_suite(self.suite, folder=given.folder / "suites")
        upstream_first(suite)
        return suite

    def problem(self, given: Input, found: Any) -> str | None:
        document = yaml.safe_load(self.file(given.folder).read_bytes())
        if alike(document, yaml.safe_load(self.file(given.good).read_bytes())):
            good = load_suite(self.suite, folder=given.good / "suites")
            return None if found == good else "another suite, of the same YAML"
        return _suite_problem(found, document)


class SweptSuite(SuiteFile):
    name = "swept-suite"
    suite = "figure5b"


def _suite_problem(suite: Suite, document: Mapping[str, Any]) -> str | None:
    for name in ("title", "published", "source", "measure", "axis"):
        if name in document and not alike(getattr(suite, name), document[name]):
            return f"another {name} than the file's"
    document = _of_rotnet(document)
    runs = _swept(document["runs"], document.get("sweeps", {}))
    if list(suite.runs) != list(runs):
        return f"the runs {list(suite.runs)}, not {list(runs)}"
    for key, run in runs.items():
        found = suite.runs[key]
        said = {"notebook": run.get("notebook"), "backbone": run.get("backbone"), "set": run.get("set", {})}
        if not alike({"notebook": found.notebook, "backbone": found.backbone, "set": found.set}, said):
            return f"run {key} is another than the file's"
    labels = [row["label"] for row in document.get("rows", [])]
    return None if [row.label for row in suite.rows] == labels else "other rows than the file's"


def _of_rotnet(document: Mapping[str, Any]) -> dict[str, Any]:
    """A suite's YAML with the runs and rows of methods written out for RotNet."""

    def filled(node: Any) -> Any:
        for sign, text in _ROTNET.items():
            node = _filled(node, sign, text, text)
        return node

    def of_method(node: Any) -> bool:
        return any(sign in repr(node) for sign in ("{method}", "{method-}"))

    if not any(map(of_method, document["runs"])):
        return dict(document)
    runs = dict((filled(key), filled(run)) if of_method(key) else (key, run) for key, run in document["runs"].items())
    rows = [filled(row) if of_method(row) else row for row in document.get("rows", [])]
    return {**document, "runs": runs, "rows": rows}


def _swept(runs: Mapping[str, Any], sweeps: Mapping[str, list[Any]]) -> dict[str, Any]:
    """The runs of a suite, those of a sweep once for each of its values."""
    found = {}
    for key, run in runs.items():
        name = next((name for name in sweeps if f"{{{name}}}" in key), None)
        for value in [None] if name is None else sweeps[name]:
            text = "all" if value is None else str(value)
            found[key if name is None else key.replace(f"{{{name}}}", text)] = _filled(run, f"{{{name}}}", value, text)
    return found


def _filled(node: Any, sign: str, value: Any, text: str) -> Any:
    if isinstance(node, dict):
        return {_filled(key, sign, text, text): _filled(entry, sign, value, text) for key, entry in node.items()}
    return value if node == sign else node.replace(sign, text) if isinstance(node, str) else node


class CollectionFile(SuiteFile):
    name = "collection"
    right = "title and suites as the file has them"
    suite = "cifar10"

    def donors(self, folder: Path) -> Iterable[Path]:
        return [folder / "suites" / f"{name}.yaml" for name in ("imagenet", "voc", "table3")]

    def read(self, given: Input) -> Any:
        return load_collection(self.suite, folder=given.folder / "suites")

    def problem(self, given: Input, found: Any) -> str | None:
        document = yaml.safe_load(self.file(given.folder).read_bytes())
        said = {name: document.get(name) for name in ("title", "suites")}
        return None if alike({"title": found.title, "suites": found.suites}, said) else "another collection than the file's"


class PresetsFile(SuiteFile):
    name = "presets"
    right = "every preset as the file has it"
    suite = PRESETS

    def read(self, given: Input) -> Any:
        return {
            name: preset_named(name, given.folder / "suites").model_dump() for name in ("paper", "released", "quick", "short")
        }

    def problem(self, given: Input, found: Any) -> str | None:
        document = yaml.safe_load(self.file(given.folder).read_bytes())
        for name, preset in found.items():
            for field, value in preset.items():
                usual = Preset.model_fields[field].get_default(call_default_factory=True)
                if not alike(value, document[name].get(field, usual)):
                    return f"another {field} of {name} than the file's"
        return None


class MethodsFile(SuiteFile):
    name = "methods"
    right = "every method as the file has it"
    suite = METHODS

    def read(self, given: Input) -> Any:
        return {name: method.model_dump() for name, method in load_methods(given.folder / "suites").items()}

    def problem(self, given: Input, found: Any) -> str | None:
        document = yaml.safe_load(self.file(given.folder).read_bytes())
        if list(found) != list(document):
            return f"the methods {list(found)}, not {list(document)}"
        for name, method in found.items():
            for field, value in document[name].items():
                if not alike(method[field], value):
                    return f"another {field} of {name} than the file's"
        return None


_SUITE = "table3"
_GOOD = {
    "preset": "quick",
    "dataset": None,
    "seeds": 2,
    "set": "train_size=100 probe.lr=0.05",
    "runs": "runs",
    "methods": "core",
}


def _plan(options: Mapping[str, Any]) -> Plan:
    return plan_suite(_SUITE, Options(**options))


class OptionValues(Kind):
    name = "options"
    right = "a plan of that preset, dataset, folder of runs and number of seeds"

    def unchanged(self, folder: Path, good: Path) -> Input:
        return Input(folder, good, value=dict(_GOOD))

    def change(self, folder: Path, good: Path, rng: random.Random) -> Input:
        name = rng.choice(sorted(_GOOD))
        value = rng.choice((odd_value(rng, objects=True), odd_value(rng), _odd_option(name, rng)))
        return Input(folder, good, f"{name}: {shown(value)}", (name, name.upper(), *quoted(value)), _GOOD | {name: value})

    def read(self, given: Input) -> Any:
        return _plan(given.value)

    def problem(self, given: Input, found: Any) -> str | None:
        said = given.value
        if said["preset"] and found.preset != said["preset"]:
            return f"preset {found.preset}"
        if len(found.runs) != said["seeds"] * len(found.suite.runs):
            return f"{len(found.runs)} runs"
        if said["dataset"] and any(run.config.dataset != said["dataset"] for run in found.runs):
            return "another dataset"
        if any(run.config.runs != said["runs"] for run in found.runs):
            return "another folder of runs"
        return _set_problem(said["set"], found)


def _odd_option(name: str, rng: random.Random) -> Any:
    if name == "seeds":
        return rng.choice((0, 1, 3, -1, 1000, 1001, 2**64, 1.0, 2.5, "2", True, None))
    words = (
        "papr",
        "quick ",
        "QUICK",
        "shapes",
        "shapes:1",
        "shapes:x",
        "shapes:",
        "cifar10",
        "imagefolder",
        "imagefolder:/none",
        "scenes",
    )
    return rng.choice(
        (
            *words,
            *("all", "rotnet", "core,rotnet", "rotne", "core,"),
            "elsewhere",
            "runs/",
            "./runs",
            "a" * 300,
            "a/" * 3000,
            "~",
            "~nobody",
        )
    )


class SetText(Kind):
    name = "set"
    right = "a plan in which each run that a word is about has the value that YAML reads in the word"

    def unchanged(self, folder: Path, good: Path) -> Input:
        return Input(folder, good, value=_GOOD["set"])

    def change(self, folder: Path, good: Path, rng: random.Random) -> Input:
        words = [_word(rng) for _ in range(rng.choice((1, 1, 2)))]
        text = " ".join(words)
        if rng.random() < 0.5:
            text = change_text(text, rng)[0].decode("utf-8", "surrogateescape")
        # An error quotes the word, or names the parameter or the run in it.
        parts = {part for word in words for part in word.partition("=")[0].split(".")}
        return Input(folder, good, ascii(text)[:300], ("SET", "set:", "task option", *sorted(parts)), text)

    def read(self, given: Input) -> Any:
        return _plan(_GOOD | {"set": given.value, "seeds": 1})

    def problem(self, given: Input, found: Any) -> str | None:
        return _set_problem(given.value, found)


_TARGETS = ("", "", "", "probe.", "pretrain.", "finetune.", "rotnet.", "supervised.", "rotnet-conv.", "rotnett.", "prob.")
_NAMES = (
    *("epochs", "lr", "train_size", "test_size", "width", "batch_size", "lr_milestones", "lr_decay", "task_options.angles"),
    *("seed", "augment", "device", "threads", "schedule", "image_size", "crop_pct", "stream", "grey", "arch", "layer", "epoch"),
    *("classifier", "labels_per_class", "momentum", "checkpoints", "views", "task", "task_options", "fold", "compile", "gpus"),
    *("backbone", "a.b.c"),
)
_VALUES = (
    *("1", "2", "0.5", "[0, 180]", "[0,90,180,270]", "[0.5]", "[0.2, 0.4]", "null", "true", "off", "nin3", "alexnet", "conv2"),
    *("none", "pad-crop", "cpu", "one-cycle", "{angles: [0, 180]}", "labels", "16", "1/2", "4", "shapes"),
)


def _word(rng: random.Random) -> str:
    value = rng.choice((rng.choice(_VALUES), rng.choice(_VALUES), rng.choice(ODD_NUMBERS), rng.choice(ODD_TEXT)))
    return f"{rng.choice(_TARGETS)}{rng.choice(_NAMES)}={value}"


def _set_problem(text: str, plan: Plan) -> str | None:
    """Whether a run of a plan has another value than SET says, read anew by the rule: words, brackets kept whole."""
    said = [word.partition("=")[::2] for word in _words(text)]
    for run in plan.runs:
        notebook, config = run.config.stage, run.config.model_dump(mode="json")
        expected: dict[str, Any] = {}
        for path, value in said:
            parts = path.split(".")
            if parts[0] in (*plan.suite.runs, *STAGES) and parts.pop(0) not in (run.key, notebook):
                continue
            if parts[0] in config:
                given = yaml.safe_load(value)
                before = expected.get(parts[0]) or {}
                expected[parts[0]] = given if len(parts) == 1 else before | {parts[1]: given}
        for name, value in expected.items():
            if not comes_back(value, config[name]):
                return f"{run.key}: {name} is {config[name]!r}, not {value!r}"
    return None


def _words(text: str) -> list[str]:
    depth, words, word = 0, [], ""
    for character in f"{text} ":
        depth += (character in "[{") - (character in "]}")
        if character.isspace() and depth <= 0:
            words += [word] if word else []
            word = ""
        else:
            word += character
    return words
