"""The functions' code: zips, made of pinned wheels and of this very package, without Docker.

Four of them, because a start unpacks whatever is in a zip: what draws nothing goes without the codecs (three quarters
of all bytes), and what answers no HTTP without the web framework (a third of all files).

Wheels are chosen for the functions' Python and processor, not for this machine's, and checked against the hashes in
`requirements/`. A zip is the same byte for byte whenever its content is, and is named after its content.

Lambda can keep no compiled module, so every cold start would compile them all: two thirds of its work. If the Python
that deploys is the one that the functions run on, the zip brings every module compiled.

A start pays for every file, too: so whatever can be imported from an archive is in one, `packages.zip`, which `start`
puts on the path. Outside are native libraries, the packages they belong to, and those that open files of their own.
"""

import functools
import gzip
import hashlib
import importlib.util
import io
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from safelight.entrypoints.deploy import material
from safelight.errors import ConfigurationError

LIMIT: Final = 250 * 2**20
"""What Lambda unpacks at most, in bytes."""

NOT_NEEDED: Final = frozenset(
    {
        # The embedded backend, its server and its client: none of them runs in a function.
        *("apsw", "uvicorn", "uvloop", "httptools", "httpx"),
        # The command line, ours and Litestar's.
        *("cyclopts", "docstring-parser", "attrs", "rich", "rich-click", "rich-rst", "click", "pygments"),
        *("markdown-it-py", "mdurl", "colorama"),
        # What Litestar makes examples and tests with.
        *("faker", "polyfactory", "tzdata"),
        # Functions speak to AWS through botocore; what boto3 puts on top is not used.
        *("boto3", "s3transfer"),
    }
)
"""Requirements that a function does without. The journeys on the emulator fail when one is needed after all."""

CODECS: Final = frozenset(
    {
        *(
            "PIL",
            "pillow.libs",
            "pillow",
            "pyvips",
            "pyvips_binary",
            "pyvips_binary.libs",
            "_libvips.abi3.so",
        ),
        *("cffi", "_cffi_backend", "pycparser"),
        "safelight_splice",
    }
)
"""What only drawing needs, as it lies in a zip: names, or what stands before the version."""

WEB: Final = frozenset(
    {
        *(
            "litestar",
            "litestar_htmx",
            "mangum",
            "anyio",
            "sniffio",
            "idna",
            "multidict",
            "multipart.py",
            "multipart",
        ),
    }
)
"""What only answering HTTP needs. Our own API stays: what webhooks are told is what it shows."""

MESSAGES: Final = frozenset(
    {
        "aws_lambda_powertools/utilities/batch",
        "aws_lambda_powertools/utilities/data_classes",
        "aws_lambda_powertools/middleware_factory",
    }
)
"""What only the worker needs of what is not for drawing."""

PARTS: Final[dict[str, frozenset[str]]] = {
    "preview": frozenset(),
    "worker": WEB,
    "api": CODECS | MESSAGES,
    "events": CODECS | WEB | MESSAGES,
}
"""The zips, each with what it goes without. `events` is for dispatcher, sweeper and notifier."""

GLIBC: Final = (2, 34)
"""What Amazon Linux 2023 has."""

SOURCE_ONLY: Final = "pyvips"
"""Published as source only. Told that there is no system libvips, it builds to plain Python."""

ARCHIVE: Final = "packages.zip"
"""Where a zip has what can be imported from an archive."""

START: Final = "start.py"
"""What puts it on the path."""

_OPENS_FILES: Final = frozenset({"botocore", "certifi"})
"""What looks for files beside its modules, and so cannot be in an archive."""

_OURS_NOT_NEEDED: Final = re.compile(
    r"(__main__|client|web|testing|backends/embedded|entrypoints/(cli|deploy|front|keeper|server|lambdas/start)|imaging/.*\.md)(\.py)?(/|$)"
)
_SERVICES: Final = frozenset({"dynamodb", "s3", "sns", "sqs", "sts", "sso", "sso-oidc", "signin"})
_NOT_CODE: Final = re.compile(
    r"(^|/)(__pycache__|tests?|testing/fixtures)/|\.(pyc|pyi|pyx|pxd|c|h|md|rst)$|\.dist-info/(RECORD|WHEEL|INSTALLER|top_level\.txt|entry_points\.txt|sboms/)"
)
_NOT_USED: Final = re.compile(
    r"aws_lambda_powertools/(event_handler|metrics/provider/datadog|utilities/(parser|auth_alpha|kafka|idempotency"
    r"|streaming|parameters|circuit_breaker|feature_flags|data_masking|validation|metadata))/"
    r"|litestar/(contrib|cli|channels|testing)/"
)
"""Parts of a library for which no function of ours has a use."""
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)

Say = Callable[[str], None]


class Target(NamedTuple):
    """What the functions run on."""

    runtime: str
    architecture: str

    @property
    def python(self) -> str:
        """The version as pip writes it."""
        return self.runtime.removeprefix("python")

    @property
    def platforms(self) -> list[str]:
        """The wheels that run there: Amazon Linux 2023 has glibc 2.34."""
        machine = {"arm64": "aarch64", "x86_64": "x86_64"}[self.architecture]
        return [f"{base}_{machine}" for base in ("manylinux_2_28", "manylinux_2_17", "manylinux2014")]


class Artifact(NamedTuple):
    """A zip in the cache. `digest` names its content: paths and bytes, what compiled them, and what laid them out."""

    path: Path
    digest: str
    unpacked: int

    @property
    def key(self) -> str:
        """Where it goes in the artifacts bucket."""
        return f"functions/{self.digest[:32]}.zip"


def build(
    target: Target, part: str = "preview", *, cache: Path | None = None, say: Say = lambda _line: None
) -> Artifact:
    """One of the zips for this target. Raise ConfigurationError."""
    return build_all(target, cache=cache, say=say, only=(part,))[part]


def build_all(
    target: Target,
    *,
    cache: Path | None = None,
    say: Say = lambda _line: None,
    only: Iterable[str] = tuple(PARTS),
) -> dict[str, Artifact]:
    """The zips for this target, from the cache if nothing has changed. Raise ConfigurationError."""
    cache = cache or cache_folder()
    wheels = download(target, cache, say)
    start = (material.PACKAGE / "entrypoints" / "lambdas" / START).read_bytes()
    files = dict(sorted({**_libraries(wheels), **_ours(), **accelerator(target, say), START: start}.items()))
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    # Where it is this Python that will run them; at most once for all zips.
    here = target.python == "{}.{}".format(*sys.version_info)
    digests["compiled by"] = sys.version if here else ""
    digests["laid out by"] = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    compiled = functools.cache(partial(_compiled, files)) if here else dict
    return {part: _artifact(_without(files, PARTS[part]), digests, compiled, cache, say) for part in only}


def _without(files: Mapping[str, bytes], names: frozenset[str]) -> dict[str, bytes]:
    """The files, but for packages of these names and what tells about them."""
    return {name: data for name, data in files.items() if not _names(name) & names}


def _names(path: str) -> set[str]:
    """The names that a file may be left out by: its package, or what it tells about, and every folder it is in."""
    top = path.partition("/")[0]
    about = re.match(r"(\w+?)-[0-9][^/]*\.dist-info$", top)
    binary = re.match(r"(\w+)\.cpython-[^/]*\.so$", top)
    folders = path.split("/")[:-1]
    return {
        top,
        *(["/".join(folders[:count]) for count in range(1, len(folders) + 1)]),
        *([about[1]] if about else []),
        *([binary[1]] if binary else []),
    }


def _artifact(
    files: Mapping[str, bytes],
    digests: Mapping[str, str],
    compiled: Callable[[], Mapping[str, bytes]],
    cache: Path,
    say: Say,
) -> Artifact:
    digest = _digest({name: digests[name] for name in (*files, "compiled by", "laid out by")})
    path = cache / "zips" / f"{digest}.zip"
    if not path.exists():
        say("Packing the functions")
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(f".{os.getpid()}")
        scratch.write_bytes(_packed(_laid_out(files, compiled()), deflate=True))
        scratch.replace(path)
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(info.file_size for info in archive.infolist())
    if unpacked > LIMIT:
        raise ConfigurationError(f"The functions take {unpacked} bytes unpacked, and Lambda allows {LIMIT}.")
    return Artifact(path, digest, unpacked)


def cache_folder() -> Path:
    """Where wheels and zips are kept between two builds."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "safelight"


# --- wheels -----------------------------------------------------------------------------------------------


def pinned(text: str) -> dict[str, str]:
    """The requirements of a requirement file by name: each with its version, marker and hashes."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    entries = "\n".join(lines).replace("\\\n", " ").splitlines()
    return {entry.partition("==")[0]: " ".join(entry.split()) for entry in entries if entry.strip()}


def download(target: Target, cache: Path, say: Say) -> list[Path]:
    """The wheels that a function needs, by name."""
    every = pinned(material.requirements("aws").read_text())
    needed = {name: entry for name, entry in every.items() if name not in NOT_NEEDED}
    source = needed.pop(SOURCE_ONLY)
    recipe = "\n".join([*target, *sorted(needed.values()), source])
    folder = cache / "wheels" / hashlib.sha256(recipe.encode()).hexdigest()[:32]
    if not folder.is_dir():
        say(f"Downloading the wheels for {target.runtime} on {target.architecture}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            new = Path(scratch, "wheels")
            _download_wheels(needed, target, new)
            _build_wheel(source, new)
            if not folder.is_dir():  # another build may have been quicker
                new.rename(folder)
    return sorted(folder.glob("*.whl"))


def _download_wheels(needed: Mapping[str, str], target: Target, folder: Path) -> None:
    where = [word for platform in target.platforms for word in ("--platform", platform)]
    abis = ["--abi", f"cp{target.python.replace('.', '')}", "--abi", "abi3", "--abi", "none"]
    version = ["--implementation", "cp", "--python-version", target.python]
    _pip(
        "download", "--only-binary", ":all:", "--no-deps", *where, *version, *abis, "--dest", str(folder),
        requirements=needed.values(),
    )  # fmt: skip


def _build_wheel(source: str, folder: Path) -> None:
    """Build with the pinned build tools, and with those only."""
    with tempfile.TemporaryDirectory() as tools:
        build = pinned(material.requirements("build").read_text())
        _pip("install", "--no-deps", "--target", tools, requirements=build.values())
        _pip(
            "wheel", "--no-deps", "--no-build-isolation", "--no-binary", SOURCE_ONLY, "--wheel-dir", str(folder),
            requirements=[source],
            PYTHONPATH=tools, PKG_CONFIG="false", PATH=os.pathsep.join([f"{tools}/bin", os.defpath]),
        )  # fmt: skip
    if not list(folder.glob(f"{SOURCE_ONLY}-*-none-any.whl")):
        raise ConfigurationError(f"{SOURCE_ONLY} was not built as plain Python; the log of pip says why.")


def _pip(command: str, *words: str, requirements: Iterable[str], **environment: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        listed = Path(scratch, "requirements.txt")
        listed.write_text("\n".join(requirements) + "\n")
        result = subprocess.run(
            [
                *(sys.executable, "-m", "pip", command, "--quiet", "--disable-pip-version-check"),
                *("--require-hashes", "--requirement", str(listed), *words),
            ],
            check=False,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    if result.returncode:
        said = next(
            (line for line in result.stderr.splitlines() if "error" in line.lower()), result.stderr[-300:]
        )
        raise ConfigurationError(f"The functions' packages could not be fetched with pip: {said.strip()}")


# --- the accelerator --------------------------------------------------------------------------------------


def accelerator(target: Target, say: Say) -> dict[str, bytes]:
    """The files of safelight-splice, which no registry has: those installed here, if the functions can load them.

    Without them every JPEG is decoded whole, on the functions as anywhere else.
    """
    spec = importlib.util.find_spec("safelight_splice")
    machine = {"aarch64": "arm64", "amd64": "x86_64"}.get(platform.machine().lower(), platform.machine())
    if spec is None or spec.origin is None:
        why = "it is not installed here: make native"
    elif (sys.platform, machine) != ("linux", target.architecture):
        why = (
            f"it is installed for {sys.platform} on {machine}, and the functions run on {target.architecture}"
        )
    else:
        folder = Path(spec.origin).parent
        files = {
            f"{folder.name}/{path.name}": path.read_bytes()
            for path in (folder / "__init__.py", *folder.glob("*.so"))
        }
        needs = max((version for data in files.values() for version in glibc(data)), default=(0, 0))
        if needs <= GLIBC:
            return files
        why = "it needs glibc {}.{}, and the functions have {}.{}".format(*needs, *GLIBC)
    say(f"Leaving safelight-splice out, so that marks on JPEGs take longer: {why}")
    return {}


def glibc(library: bytes) -> set[tuple[int, int]]:
    """The versions of glibc whose symbols an ELF library names."""
    return {(int(major), int(minor)) for major, minor in re.findall(rb"\0GLIBC_(\d+)\.(\d+)", library)}


# --- files ------------------------------------------------------------------------------------------------


def _libraries(wheels: list[Path]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                name = _installed_as(info.filename)
                if name is not None and not info.is_dir() and _needed(name):
                    name, files[name] = _slim(name, archive.read(info))
    return files


def _installed_as(name: str) -> str | None:
    """Where a wheel's file goes: below `.data` only libraries are of use here."""
    match = re.match(r"[^/]+\.data/(\w+)/(.+)", name)
    if match is None:
        return name
    return match[2] if match[1] in ("purelib", "platlib") else None


def _needed(name: str) -> bool:
    if _NOT_CODE.search(name) or _NOT_USED.match(name):
        return False
    service = re.match(r"botocore/data/([^/]+)/", name)
    return service is None or (service[1] in _SERVICES and not name.endswith("/examples-1.json"))


def _slim(name: str, data: bytes) -> tuple[str, bytes]:
    """What botocore reads at every start, without what no function asks for: a third of the time of a first client."""
    if name == "botocore/data/endpoints.json":
        endpoints = json.loads(data)
        for partition in endpoints["partitions"]:
            services = partition["services"]
            partition["services"] = {each: services[each] for each in services if each in _SERVICES}
        return name, _json(endpoints)
    if re.fullmatch(r"botocore/data/.*/service-2\.json\.gz", name):
        # Not compressed again: the zip does that, and other versions of zlib give other bytes.
        return name.removesuffix(".gz"), _json(_undocumented(json.loads(gzip.decompress(data))))
    return name, data


def _undocumented(model: Any) -> Any:
    """A service's model with empty documentation: botocore asks for some. What is called so and is no text stays."""
    if isinstance(model, dict):
        return {
            key: "" if key == "documentation" and isinstance(value, str) else _undocumented(value)
            for key, value in model.items()
        }
    return [_undocumented(each) for each in model] if isinstance(model, list) else model


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _ours() -> dict[str, bytes]:
    return {
        f"safelight/{name}": path.read_bytes()
        for path in material.PACKAGE.rglob("*")
        if path.is_file()
        and not _OURS_NOT_NEEDED.match(name := path.relative_to(material.PACKAGE).as_posix())
        and not _NOT_CODE.search(name)
    }


def _laid_out(files: Mapping[str, bytes], compiled: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files as they lie in the zip: outside what has to be, everything else in the archive.

    A compiled module stands in for its source. Ours stay beside, so that a traceback shows our lines.
    """
    outside = _opens_files(files)
    apart: dict[bool, dict[str, bytes]] = {True: {}, False: {}}
    for name, data in files.items():
        place = apart[name.partition("/")[0] in outside]
        if name in compiled:
            place[f"{name}c"] = compiled[name]
        if name not in compiled or name.startswith("safelight/"):
            place[name] = data
    return {**apart[True], ARCHIVE: _packed(apart[False], deflate=False)}


def _opens_files(files: Iterable[str]) -> set[str]:
    """What stays outside the archive: by the name of its package."""
    native = (name for name in files if re.search(r"\.so(\.|$)", name))
    return {START, *_OPENS_FILES, *(name.partition("/")[0] for name in native)}


def _compiled(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Every module as this Python compiles it, by its source's name. None looks at the source's time: a zip's says
    nothing."""
    outside = _opens_files(files)
    with tempfile.TemporaryDirectory() as scratch:
        modules = [name for name in files if name.endswith(".py") and name != START]
        folder = {name: ("", ARCHIVE)[name.partition("/")[0] not in outside] for name in modules}
        for name in modules:
            path = Path(scratch, folder[name], name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files[name])
        # In a new process, with hashes that are the same every time: otherwise the bytes would not be.
        options = ["-qq", "--invalidation-mode", "unchecked-hash", "-s", scratch, "-p", "/var/task"]
        subprocess.run(
            [sys.executable, "-m", "compileall", *options, scratch],
            check=False,  # what some package has for another Python stays as it is
            env={"PYTHONHASHSEED": "0", "PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
        made = {name: Path(scratch, folder[name], importlib.util.cache_from_source(name)) for name in modules}
        return {name: path.read_bytes() for name, path in made.items() if path.exists()}


def _digest(digests: Mapping[str, str]) -> str:
    """The content's name. Not the zip's own hash: that changes with the version of zlib."""
    lines = (f"{name}\0{digest}\n" for name, digest in digests.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _packed(files: Mapping[str, bytes], *, deflate: bool) -> bytes:
    """A zip of the files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in sorted(files.items()):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 3  # so that the mode below is read, and the same is written everywhere
            info.external_attr = (0o755 if name.endswith(".so") else 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
            archive.writestr(info, data, compresslevel=6 if deflate else None)
    return file.getvalue()
