"""The template's parameters, checked before anything is built or sent."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from safelight.entrypoints.deploy import material
from safelight.errors import ConfigurationError

ARTIFACTS: Final = {
    "preview": "ArtifactKey",
    "worker": "WorkerArtifactKey",
    "api": "ApiArtifactKey",
    "events": "EventsArtifactKey",
}
"""The parameter of each zip's key."""

OURS: Final = frozenset({"ArtifactBucket", *ARTIFACTS.values(), "ConsoleOrigin", "Release"})
"""Filled in by the deployment itself."""


def parse(words: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE` each, checked against the template. Raise ConfigurationError naming what was expected."""
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ConfigurationError(f"Expected NAME=VALUE for --parameter, received {word!r}.")
        given[name] = value
    check(given)
    return given


def check(given: Mapping[str, str]) -> None:
    """Raise ConfigurationError for a name that there is not, or a value that is not allowed."""
    known: dict[str, dict[str, Any]] = material.load_template()["Parameters"]
    for name, value in given.items():
        if name not in known or name in OURS:
            listed = ", ".join(sorted(known.keys() - OURS))
            raise ConfigurationError(f"There is no parameter {name}; there are {listed}.")
        expected = _expected(known[name], value)
        if expected:
            raise ConfigurationError(f"Expected {expected} for the parameter {name}, received {value!r}.")


def _expected(rule: Mapping[str, Any], value: str) -> str | None:
    """What the value should have been, if it is not."""
    allowed = [str(one) for one in rule.get("AllowedValues", ())]
    if allowed:
        return None if value in allowed else ("one of " if len(allowed) > 1 else "") + ", ".join(allowed)
    if rule["Type"] == "Number":
        low, high = rule.get("MinValue"), rule.get("MaxValue")
        number = int(value) if re.fullmatch(r"-?\d{1,18}", value) else None
        if number is None or (low is not None and number < low) or (high is not None and number > high):
            return f"a whole number from {low}" + (f" to {high}" if high is not None else "")
        return None
    values = value.split(",") if rule["Type"] == "CommaDelimitedList" else [value]
    pattern = rule.get("AllowedPattern")
    if pattern and not all(re.fullmatch(pattern, one) for one in values):
        return str(rule.get("ConstraintDescription", pattern))
    if not rule.get("MinLength", 0) <= len(value) <= rule.get("MaxLength", 4096):
        return f"{rule.get('MinLength', 0)} to {rule.get('MaxLength', 4096)} characters"
    return None


def default(name: str) -> str:
    """The value of a parameter that nobody gave."""
    return str(material.load_template()["Parameters"][name]["Default"])


def release(template: Path, values: Mapping[str, str]) -> str:
    """The name of a template with these values: another one when anything about the functions may be another."""
    listed = json.dumps(sorted((name, value) for name, value in values.items() if name != "Release"))
    return hashlib.sha256(template.read_bytes() + listed.encode()).hexdigest()
