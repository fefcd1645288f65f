"""Fuzz the parsers of strangers' bytes with atheris, one after the other: `make fuzz SECONDS=60`.

Usage: python -m tests.fuzz SECONDS [TARGET ...]. What is found is written to build/fuzz/{target}/crash-… and ends
that target's run.
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

CORPUS = Path("build/fuzz")


def run(name: str, seconds: int) -> int:
    """Fuzz one target in a process of its own, and return its exit code."""
    from tests.fuzz import seeds

    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, example in enumerate(seeds.of(name)):
        (folder / f"seed-{number}").write_bytes(example)
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={folder}/", "-max_len=8192", "-timeout=10"]
    command = [sys.executable, "-m", "tests.fuzz", "--target", name, str(folder), *options]
    return subprocess.run(command).returncode


def fuzz(name: str, arguments: list[str]) -> None:
    """Feed one target until the time is over or something is found. Does not return."""
    import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]  # only `make fuzz` has it

    # The parsers alone are watched for new paths; what they import is a library's own business.
    with atheris.instrument_imports(include=["safelight", "yaml"]):
        from tests.fuzz.targets import TARGETS
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()


def main(words: list[str]) -> int:
    """The command."""
    if words[:1] == ["--target"]:
        fuzz(words[1], words[2:])
    if find_spec("atheris") is None:
        sys.stdout.write("Nothing is fuzzed: atheris is for Linux and Python below 3.14\n")
        return 0
    from tests.fuzz.targets import TARGETS

    seconds, *names = words
    if unknown := set(names) - TARGETS.keys():
        sys.stderr.write(f"There is no {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}.\n")
        return 2
    return max(run(name, int(seconds)) for name in names or TARGETS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
