"""YAML as users and authors of suites write it: plain values, or an error that says where it is wrong."""

from pathlib import Path
from typing import Any

import yaml

from rotnet_lib.errors import RotnetError, shown
from rotnet_lib.files import check_is_file


class _Loader(yaml.SafeLoader):
    """Refuses a key that occurs twice in a mapping: PyYAML keeps the last and says nothing."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Here, since each mapping is composed once, and what `<<` stands for is put into it later.
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if (key.tag, key.value) in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"the key '{key.value}' occurs twice", key.start_mark)
                seen.add((key.tag, key.value))
        return node


def parse_yaml(text: str, where: str) -> Any:
    """The value that a YAML text stands for. Raises RotnetError, beginning with `where`, if it is no YAML."""
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: " if error.problem_mark else ""
        raise RotnetError(f"{where} cannot be read as YAML: {place}{error.problem or error}.") from None
    except RecursionError:
        raise RotnetError(f"{where} cannot be read as YAML: it is nested too deep.") from None
    except Exception as error:  # PyYAML's own code on this text: !!int x, 2020-13-45 and !!bool x end in errors of any type
        raise RotnetError(f"{where} cannot be read as YAML: {error or type(error).__name__}.") from None


def read_yaml(path: Path, where: str) -> dict[str, Any]:
    """The dictionary that a YAML file holds.

    Args:
        path: of the file.
        where: how messages call it.

    Raises RotnetError if it is no file, cannot be read, is no UTF-8 or YAML, holds no dictionary, or a key that is no text.
    """
    try:
        check_is_file(path, "Put the YAML there.")  # a named pipe would be waited for, a device has no end
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RotnetError(f"{where} cannot be read: {error.strerror} ({path}).") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise RotnetError(f"{where} cannot be read: line {line} is no UTF-8. Save the file as UTF-8 ({path}).") from None
    document = parse_yaml(text, where)
    if not isinstance(document, dict):
        what = "nothing" if document is None else shown(document)
        raise RotnetError(f"{where}: names with values are expected (`title: ...`), and the file holds {what}.")
    for key in document:
        if not isinstance(key, str):
            raise RotnetError(f"{where}: the key {shown(key)} is no text. Put it into quotes.")
    return document
