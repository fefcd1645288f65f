"""What a deployment is made from, as files: inside the installed package, or beside it in a working copy."""

from pathlib import Path
from typing import Any, Final

import safelight
from safelight.errors import ConfigurationError

PACKAGE: Final = Path(safelight.__file__).parent
_REPOSITORY: Final = PACKAGE.parents[1]
_PACKED: Final = PACKAGE / "entrypoints/deploy/files"
"""Where the wheel keeps what lies outside the package (`force-include` in pyproject.toml)."""


def template() -> Path:
    """The SAM template. Raise ConfigurationError."""
    return _find("infra/template.yaml")


def requirements(name: str) -> Path:
    """A requirement file with versions and hashes. Raise ConfigurationError."""
    return _find(f"requirements/{name}.txt")


def _find(path: str) -> Path:
    for folder in (_PACKED, _REPOSITORY):
        if (folder / path).is_file():
            return folder / path
    raise ConfigurationError(
        f"This installation lacks {path}; install Safelight from its wheel or its repository."
    )


def load_template() -> dict[str, Any]:
    """The template as data, its short forms written out: `!Ref X` is `{"Ref": "X"}`."""
    import yaml

    class Loader(yaml.SafeLoader):
        """YAML with CloudFormation's tags."""

    def written_out(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
        value: Any
        if isinstance(node, yaml.ScalarNode):
            value = loader.construct_scalar(node)
        elif isinstance(node, yaml.SequenceNode):
            value = loader.construct_sequence(node, deep=True)
        else:
            assert isinstance(node, yaml.MappingNode)
            value = loader.construct_mapping(node, deep=True)
        if tag == "GetAtt" and isinstance(value, str):
            value = value.split(".", 1)
        return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}

    Loader.add_multi_constructor("!", written_out)
    loaded: dict[str, Any] = Loader(template().read_text(encoding="utf-8")).get_single_data()
    return loaded
