"""Runs and rows that each method has: one line of a suite's YAML for all of them.

    runs:
      "{method}": {notebook: pretrain, set: {task: "{task}", arch: nin4}}
      "{method}-conv": {notebook: probe, backbone: "{method}", set: {layer: conv2, classifier: conv}}
    rows:
      - {label: "{label} + conv", run: "{method}-conv", metric: conv2_top1}

stands for two runs and a row of each method that is asked for; likewise a claim with `{label}` in it. `{label}` is how the
suite's published table calls the method, or the method's own label. A row that the published table does not have is one of our
own. `{method-}` in a key is the name with a hyphen behind it, and nothing of a method that is `unnamed`. A run with `{svm}`,
the side of the grid that a method's SVM sees, and its rows are those of methods whose published figures are an SVM's.
"""

from collections.abc import Collection, Mapping
from typing import Any

from rotnet_lib.errors import RotnetError
from rotnet_lib.models import ARCHS
from rotnet_lib.pretext import TASKS
from rotnet_lib.report.published import published_table
from rotnet_lib.runs.protocols import benchmark_of
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.suites.methods import ALL, Method

_METHOD, _HYPHENED, _LABEL, _TASK, _SVM = "{method}", "{method-}", "{label}", "{task}", "{svm}"


def has_method_rows(document: Mapping[str, Any]) -> bool:
    """Whether a suite's YAML, which may be malformed, has runs of each method."""
    runs = document.get("runs")
    return isinstance(runs, dict) and any(_is_of_method(key) for key in runs)


def with_methods(
    document: dict[str, Any], methods: Mapping[str, Method], asked: Collection[str], named: Collection[str] = ()
) -> dict[str, Any]:
    """A suite's YAML with the runs and rows of methods written out, and with the methods themselves (see `SuiteMethod`).

    A question about a row of a method that is not asked for is left out. Of a method that cannot train the networks of the
    suite's rows nothing is said at all.

    Args:
        document: as read, of the shape of `Sheet`.
        methods: all there are, by name.
        asked: the names of those that have rows.
        named: those of them that the user named, not one word for several.

    Raises RotnetError for a run or a row that would be the same for every method, and for one that is named and cannot be here.
    """
    methods, unable = _able(document["runs"], methods)
    for name in named:
        if name in unable:
            raise RotnetError(f"METHODS: {unable[name]} Leave it out. Methods that can have rows here: {', '.join(methods)}.")
    asked = [name for name in asked if name in methods]
    table = document.get("published") or ""
    published = published_table(table) if table else {}
    words = {
        name: {
            _METHOD: name,
            _HYPHENED: "" if method.unnamed else f"{name}-",
            _TASK: method.task,
            _LABEL: method.labels.get(table, method.label),
            _SVM: method.svm,
        }
        for name, method in methods.items()
    }
    runs: dict[str, Any] = {}
    without_svm: set[str] = set()
    for key, run in document["runs"].items():
        if not _is_of_method(key) and _is_of_method(run):
            raise RotnetError(f"run '{key}' is of {_METHOD}, and its key does not say so. Put {_METHOD} into it.")
        for name in asked if _is_of_method(key) else [""]:
            filled = _filled(key, words.get(name, {}))
            if name and methods[name].svm is None and _SVM in str(run):
                without_svm.add(filled)
                continue
            if filled in runs:
                raise RotnetError(f"run '{filled}' occurs twice: as such, and as '{key}' of the method {name}. Rename one.")
            runs[filled] = _filled(run, words.get(name, {}))
            if name:
                runs[filled] = _with_own_arch(runs[filled], methods[name])
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    for row in document.get("rows", []):
        if not _is_of_method(row):
            rows.append(row)
            continue
        if _LABEL not in row["label"]:
            raise RotnetError(f"row '{row['label']}' is of {_METHOD}, and its label does not say so. Put {_LABEL} into it.")
        for name in methods:
            found = _filled(row, words[name])
            if found.get("run") in without_svm:
                continue
            if name in asked:
                own = {"published": False} if table and found["label"] not in published else {}
                rows.append(found | own)
            else:
                left_out.append(found["label"])
    questions = [question for question in document.get("questions", []) if not _asks_about(question, left_out)]
    claims = [
        _filled(claim, words.get(name, {}))
        for claim in document.get("claims", [])
        for name in (asked if _LABEL in str(claim) else [""])
    ]
    where = dict.fromkeys(benchmark_of(arch) for arch in _archs(document["runs"]))
    could = [
        {
            "name": name,
            "title": method.title,
            "needs": method.needs,
            "asked": name in asked,
            "deviations": [said for place in (ALL, *where) for said in method.deviations.get(place, [])],
        }
        for name, method in methods.items()
    ]
    return document | {"runs": runs, "rows": rows, "claims": claims, "questions": questions, "methods": could}


def _able(runs: Mapping[str, Any], methods: Mapping[str, Method]) -> tuple[dict[str, Method], dict[str, str]]:
    """The methods that can train what a suite's pretrain runs of methods are to train, and why each of the others cannot."""
    archs = _archs(runs)
    unable = {}
    for name, method in methods.items():
        able = TASKS[method.task].archs
        wrong = [arch for arch in archs if able and method.archs.get(arch, arch) not in able]
        if wrong:
            unable[name] = f"{name} trains {' or '.join(able)}, and the rows here are of {' and '.join(wrong)}."
    return {name: method for name, method in methods.items() if name not in unable}, unable


def _with_own_arch(run: Any, method: Method) -> Any:
    """A pretrain run, which may be malformed, with the arch that the method trains in place of the row's.

    Other runs are as they were: those that build on a run follow its arch.
    """
    if not isinstance(run, dict) or run.get("notebook") != PretrainConfig.stage or not isinstance(run.get("set"), dict):
        return run
    arch = run["set"].get("arch")
    own = method.archs.get(arch) if isinstance(arch, str) else None
    return run | {"set": run["set"] | {"arch": own}} if own else run


def _archs(runs: Mapping[str, Any]) -> list[str]:
    """The archs that methods are pretrained on, in the rows' own words."""
    pretrained = [
        run
        for key, run in runs.items()
        if _is_of_method(key) and isinstance(run, dict) and run.get("notebook") == PretrainConfig.stage
    ]
    sets = [said for run in pretrained if isinstance(said := run.get("set", {}), dict)]  # `Suite` says what is malformed
    archs = [values.get("arch", PretrainConfig.model_fields["arch"].default) for values in sets]
    return list(dict.fromkeys(arch for arch in archs if isinstance(arch, str) and arch in ARCHS))


def _asks_about(question: Mapping[str, Any], labels: list[str]) -> bool:
    against = question.get("against")
    named = [question.get("baseline"), *(against if isinstance(against, list) else [])]
    return any(label in labels for label in named)


def _is_of_method(template: Any) -> bool:
    """Whether a text, or one in a template, names the method."""
    if isinstance(template, dict):
        return any(_is_of_method(part) for pair in template.items() for part in pair)
    if isinstance(template, list):
        return any(map(_is_of_method, template))
    return isinstance(template, str) and (_METHOD in template or _HYPHENED in template)


def _filled(template: Any, words: Mapping[str, Any]) -> Any:
    """A template with what each word stands for in its place, in keys and lists too."""
    if isinstance(template, dict):
        return {_filled(key, words): _filled(entry, words) for key, entry in template.items()}
    if isinstance(template, list):
        return [_filled(entry, words) for entry in template]
    if isinstance(template, str):
        if template in words:
            return words[template]
        for word, text in words.items():
            template = template.replace(word, str(text))
    return template
