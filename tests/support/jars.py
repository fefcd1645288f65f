"""Fetches the test servers that need Java, with Maven: `make servers`.

`jars.xml` names their versions, and `jars.sha256` the digest of every file that belongs to them. What differs in any
way is not put in its place. Without Java or Maven nothing is fetched, which is not an error: their tests are skipped.

    python -m tests.support.jars --write      take what Maven gives as right, after a change of jars.xml
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.support.servers import JARS

POM: Final = Path(__file__).with_name("jars.xml")
DIGESTS: Final = Path(__file__).with_name("jars.sha256")
NAMES: Final = ("dynamodb", "elasticmq")
COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


def main() -> int:
    """Fetch what is not there. Return the exit code."""
    missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
    if missing:
        sys.stdout.write(f"Nothing fetched: there is no {' and no '.join(missing)} here.\n")
        return 0
    write = "--write" in sys.argv
    right = "" if write else DIGESTS.read_text()
    if digests_in(JARS) == right and right:
        return 0
    with tempfile.TemporaryDirectory(prefix="safelight-jars-") as scratch:
        for name in NAMES:
            fetch(name, Path(scratch, name))
        found = digests_in(Path(scratch))
        if write:
            DIGESTS.write_text(found)
        elif found != right:
            wrong = sorted(set(found.splitlines()) ^ set(right.splitlines()))
            sys.stderr.write("Not what jars.sha256 says:\n" + "\n".join(wrong) + "\n")
            return 1
        shutil.rmtree(JARS, ignore_errors=True)
        shutil.copytree(scratch, JARS)
    return 0


def fetch(name: str, folder: Path) -> None:
    """Let Maven put a server and all that it needs into a folder."""
    quietly = ["mvn", "--batch-mode", "--quiet", "-Dstyle.color=never"]
    what = ["--file", str(POM), f"--activate-profiles={name}", COPY, "-DincludeScope=runtime"]
    subprocess.run([*quietly, *what, f"-DoutputDirectory={folder}"], check=True)


def digests_in(folder: Path) -> str:
    """One line for each file: its SHA-256 and its name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
        for path in files
    )


if __name__ == "__main__":
    sys.exit(main())
