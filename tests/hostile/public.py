"""Files that broke others: the pictures in Debian's sources of image libraries, proofs of their faults among them.

`make hostile` fetches them with apt, into `build/hostile/`; nothing of the system is changed, and nothing of it is kept
in the repository. The sources are those of the machine's own list, asked for source packages.
"""

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[2] / "build/hostile"
PACKAGES: Final = ("exiv2", "gdk-pixbuf", "giflib", "libexif", "libpng1.6", "libwebp", "pillow", "tiff")
KINDS: Final = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".tif", ".tiff", ".heic")
LARGEST: Final = 20_000_000


class Absent(Exception):
    """They can not be had here; the text says why."""


def files() -> dict[str, bytes]:
    """Every picture once, by package and path. Raise Absent."""
    found: dict[str, bytes] = {}
    known: set[bytes] = set()
    for archive in _archives():
        with tarfile.open(archive) as packed:
            for member in packed:
                if not (member.isfile() and member.name.lower().endswith(KINDS) and member.size < LARGEST):
                    continue
                content = packed.extractfile(member)
                assert content is not None
                data = content.read()
                digest = hashlib.sha256(data).digest()
                if data and digest not in known:
                    known.add(digest)
                    found[member.name] = data
    return found


def _archives() -> list[Path]:
    """The sources, fetched if they are not there yet."""
    marker = FOLDER / "fetched"
    if not marker.exists():
        _fetch()
        marker.touch()
    return sorted(path for path in FOLDER.glob("*.orig*.tar.*") if path.suffix != ".asc")


def _fetch() -> None:
    if shutil.which("apt-get") is None:
        raise Absent("public hostile files come from Debian's sources, and there is no apt-get here")
    # Mirrors of security updates often hold no sources; a release's own pictures serve as well.
    lists, parts = FOLDER / "apt/lists", FOLDER / "apt/parts"
    for folder in (lists / "partial", parts, FOLDER / "apt/cache/archives/partial"):
        folder.mkdir(parents=True, exist_ok=True)
    for source in Path("/etc/apt/sources.list.d").glob("debian*.sources"):
        stanzas = source.read_text().replace("Types: deb\n", "Types: deb-src\n").split("\n\n")
        (parts / source.name).write_text("\n\n".join(each for each in stanzas if "-security" not in each))
    plain = Path("/etc/apt/sources.list")
    lines = plain.read_text().splitlines() if plain.exists() else []
    lines = [line for line in lines if line.startswith("deb ") and "-security" not in line]
    listed = FOLDER / "apt/sources.list"
    listed.write_text("".join(f"deb-src{line[3:]}\n" for line in lines))
    options = {
        "Dir::Etc::SourceList": listed,
        "Dir::Etc::SourceParts": parts,
        "Dir::State::Lists": lists,
        "Dir::Cache": FOLDER / "apt/cache",
    }
    apt = ["apt-get", "-qq", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    for words in (["update"], ["source", "--download-only", *PACKAGES]):
        done = subprocess.run([*apt, *words], cwd=FOLDER, capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise Absent(f"apt-get {words[0]}: {done.stderr.strip()[-300:]}")
