"""Runs and rows that each method has: one line of a suite's YAML for all of them.

    runs:
      "{method}": {notebook: pretrain, set: {task: "{task}", arch: nin4}}
      "{method}-conv": {notebook: probe, backbone: "{method}", set: {layer: conv2, classifier: conv}}
    rows:
      - {label: "{label} + conv", run: "{method}-conv", metric: conv2_top1}

stands for two runs and a row of each method that is asked for. `{label}` is how the suite's published table calls the method,
or the method's own label: its row is then one of our own. `{method-}` in a key is the name with a hyphen behind it, and
nothing of a method that is `unnamed`.
"""

from collections.abc import Collection, Mapping
from typing import Any

from rotnet_lib.errors import RotnetError
from rotnet_lib.suites.methods import Method

_METHOD, _HYPHENED, _LABEL, _TASK = "{method}", "{method-}", "{label}", "{task}"


def has_method_rows(document: Mapping[str, Any]) -> bool:
    """Whether a suite's YAML, which may be malformed, has runs of each method."""
    runs = document.get("runs")
    return isinstance(runs, dict) and any(_is_of_method(key) for key in runs)


def with_methods(document: dict[str, Any], methods: Mapping[str, Method], asked: Collection[str]) -> dict[str, Any]:
    """A suite's YAML with the runs and rows of methods written out, and with the methods themselves (see `SuiteMethod`).

    A question about a row of a method that is not asked for is left out.

    Args:
        document: as read, of the shape of `Sheet`.
        methods: all there are, by name.
        asked: the names of those that have rows.

    Raises RotnetError for a run or a row that would be the same for every method.
    """
    table = document.get("published") or ""
    words = {
        name: {
            _METHOD: name,
            _HYPHENED: "" if method.unnamed else f"{name}-",
            _TASK: method.task,
            _LABEL: method.labels.get(table, method.label),
        }
        for name, method in methods.items()
    }
    runs: dict[str, Any] = {}
    for key, run in document["runs"].items():
        if not _is_of_method(key) and _is_of_method(run):
            raise RotnetError(f"run '{key}' is of {_METHOD}, and its key does not say so. Put {_METHOD} into it.")
        for name in asked if _is_of_method(key) else [""]:
            if (filled := _filled(key, words.get(name, {}))) in runs:
                raise RotnetError(f"run '{filled}' stands twice: as such, and as '{key}' of the method {name}. Rename one.")
            runs[filled] = _filled(run, words.get(name, {}))
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    for row in document.get("rows", []):
        if not _is_of_method(row):
            rows.append(row)
            continue
        if _LABEL not in row["label"]:
            raise RotnetError(f"row '{row['label']}' is of {_METHOD}, and its label does not say so. Put {_LABEL} into it.")
        for name, method in methods.items():
            found = _filled(row, words[name])
            if name in asked:
                rows.append(found | ({"published": False} if table and table not in method.labels else {}))
            else:
                left_out.append(found["label"])
    questions = [question for question in document.get("questions", []) if not _asks_about(question, left_out)]
    could = [
        {"name": name, "asked": name in asked, **method.model_dump(include={"title", "needs", "deviations"})}
        for name, method in methods.items()
    ]
    return document | {"runs": runs, "rows": rows, "questions": questions, "methods": could}


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


def _filled(template: Any, words: Mapping[str, str]) -> Any:
    """A template with what each word stands for in its place, in keys and lists too."""
    if isinstance(template, dict):
        return {_filled(key, words): _filled(entry, words) for key, entry in template.items()}
    if isinstance(template, list):
        return [_filled(entry, words) for entry in template]
    if isinstance(template, str):
        for word, text in words.items():
            template = template.replace(word, text)
    return template
