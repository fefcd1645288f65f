"""Recipes as they are written: from YAML or JSON to plain dicts, lists, strings and numbers, not checked yet."""

import codecs
from pathlib import Path
from typing import Any, Final

import msgspec

from safelight.errors import RecipeInvalid
from safelight.repeated import repeated_name

MAX_BYTES: Final = 350_000
"""The longest recipe, with the assets that it names."""


def read_file(path: Path) -> Any:
    """What a recipe file says. Raise RecipeInvalid, which does not name the file, and OSError."""
    return read(path.read_bytes(), as_json=is_json(path))


def is_json(path: Path) -> bool:
    """Whether a file promises by its name to be JSON, which other programs will read it as."""
    return path.suffix.lower() == ".json"


def read(text: bytes, *, as_json: bool = False) -> Any:
    """What a text says in YAML, of which JSON is a part; `as_json`, JSON alone will do. Raise RecipeInvalid."""
    if len(text) > MAX_BYTES:
        raise RecipeInvalid(f"The recipe has {len(text)} bytes and {MAX_BYTES} are allowed.")
    text = text.removeprefix(codecs.BOM_UTF8)  # which editors on Windows put there
    if not as_json and not text.lstrip().startswith(b"{"):
        return _read_yaml(text)
    try:
        content, twice = msgspec.json.decode(text), repeated_name(text)
    except (ValueError, RecursionError) as error:  # malformed, not UTF-8, or nested too deeply
        if as_json:
            raise RecipeInvalid(f"The recipe is not JSON: it can not be read{_fault(text, error)}.") from None
        return _read_yaml(text)  # which may begin with a brace, too, and says better what is wrong
    if twice is not None:
        raise RecipeInvalid(
            f"The recipe has the name {twice!r} twice in one object; one of them would be lost."
        )
    return content


def _fault(text: bytes, error: Exception) -> str:
    """Where JSON is malformed, and why, in the words of Python's own reader, which tells the line."""
    import json

    if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return " (it is UTF-16; save it as UTF-8)"
    try:
        json.loads(text)
    except json.JSONDecodeError as found:
        return f" in line {found.lineno}, column {found.colno} ({found.msg})"
    except (ValueError, RecursionError):
        pass
    return f" ({error})"


def _read_yaml(text: bytes) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses a name that is there twice, of which the other would be lost."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            # Tags may call anything a mapping, and anything may be a key: what is none, the parent refuses.
            keys = [key for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
            seen: set[str] = set()
            for key in keys:
                if not isinstance(key, yaml.ScalarNode):
                    continue
                if key.value in seen:
                    line = key.start_mark.line + 1
                    raise RecipeInvalid(
                        f"The recipe has the name {key.value!r} twice in one place, again in line {line}."
                    )
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    try:
        return Loader(text).get_single_data()
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        why = f" ({problem})" if (problem := getattr(error, "problem", None)) else ""
        raise RecipeInvalid(f"The recipe is neither YAML nor JSON: it can not be read{where}{why}.") from None
