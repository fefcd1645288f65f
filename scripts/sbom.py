"""Write what is in the packages as a CycloneDX bill of materials: every pinned dependency, and who asks for it.

`make package` runs this in .venv-package. It reads nothing but pyproject.toml, requirements/base.txt (what a Safelight
on one machine runs with) and requirements/aws.txt (what the functions on AWS run with). The same files give the same
bytes: the serial number is made from the content, and the time is SOURCE_DATE_EPOCH's if that is set.

    python scripts/sbom.py dist/safelight.cdx.json
"""

import os
import re
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

ROOT: Final = Path(__file__).parents[1]
PINNED: Final = re.compile(r"([a-z0-9-]+)==([^ ;\\]+)")
WHO: Final = re.compile(r" +#(?: via)? +(\S+)(?: \(.+\))?")


class Pin(NamedTuple):
    """One requirement: its exact version, and which others ask for it (`safelight` for our own)."""

    name: str
    version: str
    asked_by: frozenset[str]


def pins(path: Path) -> list[Pin]:
    """The requirements of a file of `make lock`, in its order. A name may come twice, for several Pythons."""
    found: list[Pin] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if match := PINNED.match(line):
            found.append(Pin(match[1], match[2], frozenset()))
        elif found and (match := WHO.fullmatch(line)):
            found[-1] = found[-1]._replace(asked_by=found[-1].asked_by | {match[1]})
    return found


def bill(version: str, *, base: list[Pin], aws: list[Pin]) -> Bom:
    """The bill: what only AWS needs is optional."""
    always = {(pin.name, pin.version) for pin in base}
    asked: dict[tuple[str, str], frozenset[str]] = {}
    for pin in (*base, *aws):
        asked[pin[:2]] = asked.get(pin[:2], frozenset()) | pin.asked_by
    parts = {one: _component(*one, optional=one not in always) for one in asked}
    root = Component(
        name="safelight",
        version=version,
        type=ComponentType.APPLICATION,
        licenses=[DisjunctiveLicense(id="Apache-2.0")],
        purl=PackageURL("pypi", name="safelight", version=version),
        bom_ref="safelight",
    )
    bom = Bom(components=parts.values())
    bom.metadata.component = root
    for one, part in parts.items():
        for asker in sorted(asked[one]):
            askers = [root] if asker == "safelight" else [parts[key] for key in parts if key[0] == asker]
            for other in askers:
                bom.register_dependency(other, [part])
    return bom


def _component(name: str, version: str, *, optional: bool) -> Component:
    purl = PackageURL("pypi", name=name, version=version)
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        scope=ComponentScope.OPTIONAL if optional else ComponentScope.REQUIRED,
        purl=purl,
        bom_ref=str(purl),
    )


def written(bom: Bom) -> str:
    """The bill as JSON. Raise ValueError if it is not what the standard says."""
    bom.metadata.timestamp = datetime.fromtimestamp(
        int(os.environ.get("SOURCE_DATE_EPOCH") or time.time()), UTC
    )
    content = " ".join(sorted(f"{part.name}=={part.version}" for part in bom.components))
    root = bom.metadata.component
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"{root.purl} {content}")
    text: str = JsonV1Dot6(bom).output_as_string(indent=2)
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ValueError(str(error))
    return text + "\n"


def main(target: str) -> None:
    """Write the bill to a file."""
    about = (ROOT / "src/safelight/__init__.py").read_text(encoding="utf-8")
    version = re.search(r'^__version__ = "(.+)"$', about, re.MULTILINE)
    assert version
    requirements = ROOT / "requirements"
    bom = bill(version[1], base=pins(requirements / "base.txt"), aws=pins(requirements / "aws.txt"))
    Path(target).write_text(written(bom), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
