"""Where in the text of a recipe a mistake is."""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from safelight.errors import RecipeInvalid

if TYPE_CHECKING:
    import yaml


def lines_of(text: bytes, mistakes: Iterable[RecipeInvalid]) -> list[int | None]:
    """The line, from 1, of each mistake: where the place that it names begins, or what is there of it; where the text
    can not be read, the line that is told. None if the mistake names no place, or nothing of it is there."""
    import yaml

    try:  # tabs, with which JSON may be indented, are not for YAML
        root = yaml.compose(text.replace(b"\t", b" "), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        root = None
    return [_line(root, mistake.path) or _told(mistake) for mistake in mistakes]


def _told(mistake: RecipeInvalid) -> int | None:
    found = None if mistake.path else re.search(r"\bin line (\d+)", mistake.message)
    return int(found[1]) if found else None


def _line(node: "yaml.Node | None", path: str) -> int | None:
    if "chain" in [name for name, _, _ in _entries(node)]:
        path = re.sub(r"^steps\.step(\d+)", r"chain.\1", path)  # the names that a chain's steps are given
    line = None
    while path:
        for name, mark, value in sorted(_entries(node), key=lambda entry: -len(entry[0])):
            # The longest first, and as a whole, and not split at its dots: a name that is wrong may have some.
            if f"{path}.".startswith(f"{name}."):
                line, node, path = mark, value, path[len(name) + 1 :]
                break
        else:
            break
    return line


def _entries(node: "yaml.Node | None") -> "Iterator[tuple[str, int, yaml.Node]]":
    """Name, line and value of what is in a mapping or a list, whose items complaints count from 1."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield key.value, key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value, 1):
            yield str(number), item.start_mark.line + 1, item
