"""Other programs that do the same, each in a process of its own that is asked for one job at a time.

`fetch` gets them, and photographs, by name from the package registries into a folder outside the repository (or below
`build/`); what can not be had is left out. Versions are pinned here.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import quote

import httpx
from measuring import peak_memory
from PIL import Image, ImageDraw, ImageFont
from watermark import FONT_FILE, TEXT

Job = dict[str, Any]

SHARP: Final = "sharp@0.35.5"
THUMBOR: Final = "thumbor==7.8.0"
IMAGOR: Final = ("github.com/cshum/imagor", "v1.4.17", "github.com/cshum/imagor/cmd/imagor")
IMGPROXY: Final = ("github.com/imgproxy/imgproxy/v2", "v2.17.0", "github.com/imgproxy/imgproxy/v2")
"""Go modules, and the programs in them; they are built with Debian's libvips-dev."""
PICTURES: Final = ("lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04", "mate-backgrounds")
"""Debian's packages of photographs; their licences are in them, and none of it goes into the repository."""

MAGICK: Final = "convert-im6.q16"
HERE: Final = Path(__file__).parent


class Answer(NamedTuple):
    """What a job took, by the peer's own clock where it has one, and the files it wrote if it was told to."""

    seconds: float
    files: list[str]


class Peer(Protocol):
    """A program that does jobs."""

    def do(self, job: Job) -> Answer:
        """Do a job. Raise RuntimeError if the program can not."""

    def peak(self) -> int:
        """The most memory that it had so far, in bytes."""

    def close(self) -> None:
        """End it."""


class Answering:
    """A program that reads jobs from stdin and answers on stdout, a line of JSON each."""

    def __init__(self, command: list[str], folder: Path | None = None) -> None:
        self._process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def do(self, job: Job) -> Answer:
        """Do a job."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        if not (line := self._process.stdout.readline()):
            raise RuntimeError(f"it ended with {self._process.wait()}")
        return Answer(**json.loads(line))

    def peak(self) -> int:
        """The most memory that it had."""
        return peak_memory(self._process.pid)

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def sharp(folder: Path) -> Answering:
    """A Node process; `folder` holds node_modules/sharp."""
    return Answering(["node", "-e", (HERE / "sharp.js").read_text()], folder.absolute())


def python(way: str) -> Answering:
    """A process of `pillow_ways.py`."""
    return Answering([sys.executable, str(HERE / "pillow_ways.py"), way])


class Magick:
    """ImageMagick's command. Its start is in its time."""

    def __init__(self) -> None:
        self._peak = 0

    def do(self, job: Job) -> Answer:
        """Do a job."""
        began = time.perf_counter()
        folder = Path(job.get("out") or job["scratch"])
        command, files = self._command(job, folder)
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stderr.close()
        if process.returncode:
            raise RuntimeError(said.strip()[:200])
        self._peak = max(self._peak, used.ru_maxrss * 1024)
        return Answer(time.perf_counter() - began, [str(file) for file in files])

    def _command(self, job: Job, folder: Path) -> tuple[list[str], list[Path]]:
        quality = [] if job["format"] in ("png", "gif") else ["-quality", str(job["quality"])]
        if job["format"] == "webp":
            quality += ["-define", f"webp:method={job['effort']}"]
        limits = ["-limit", "thread", "1"]
        if job["kind"] == "watermark":
            file = folder / f"magick-0.{job['format']}"
            short = min(job["width"], job["height"])
            text = ["-gravity", "southeast", "-font", FONT_FILE, "-pointsize", str(short * 4 // 100)]
            place = ["-fill", "#ffffff99", "-annotate", f"+{short * 2 // 100}+{short * 2 // 100}", TEXT]
            return [MAGICK, *limits, job["file"], *text, *place, *quality, str(file)], [file]
        widths = sorted(job["widths"], reverse=True)
        hint = ["-define", f"jpeg:size={2 * widths[0]}x{2 * widths[0]}"] if widths[0] else []
        command, files = [MAGICK, *limits, *hint, job["file"]], []
        if job.get("animated"):
            command.append("-coalesce")
        for width in widths:
            files.append(folder / f"magick-{width}.{job['format']}")
            command += [*(["-resize", f"{width}x"] if width else []), *quality, "-write", str(files[-1])]
        return [*command, "null:"], files[::-1]

    def peak(self) -> int:
        """The most memory that one command had."""
        return self._peak

    def close(self) -> None:
        """Nothing runs."""


class Served:
    """A server of pictures on the loopback address. The time of its HTTP requests counts."""

    def __init__(self, files: Path) -> None:
        """`files` is the folder that originals lie in."""
        self._files = files
        self._port = _free_port()
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=120)
        self._process: subprocess.Popen[bytes] | None = None

    def do(self, job: Job) -> Answer:
        """Do a job."""
        urls = [self._url(job, width) for width in job.get("widths", [0])]
        began = time.perf_counter()
        answers = [self._client.get(url) for url in urls]
        seconds = time.perf_counter() - began
        files = []
        for index, answer in enumerate(answers):
            kind = f"image/{job['format']}"
            if answer.status_code != httpx.codes.OK or answer.headers["content-type"] != kind:
                raise RuntimeError(f"{answer.status_code} {answer.headers.get('content-type')}")
            if job.get("out"):
                file = Path(job["out"]) / f"{type(self).__name__.lower()}-{index}.{job['format']}"
                file.write_bytes(answer.content)
                files.append(str(file))
        return Answer(seconds, files)

    def peak(self) -> int:
        """The most memory that the server had."""
        return peak_memory(self._process.pid) if self._process else 0

    def close(self) -> None:
        """End it."""
        self._client.close()
        self._stop()

    def _url(self, job: Job, width: int) -> str:
        """The address of one picture: as wide as that, or as wide as it is for 0. Most take those of thumbor."""
        filters = f"filters:format({job['format']}):quality({job['quality']})"
        if job["kind"] == "watermark":
            margin = job["height"] // 50
            filters += f":watermark({self._mark(job).name},-{margin},-{margin},0)"
        size = f"{width}x0/" if width else ""
        return f"/unsafe/{size}{filters}/{self._name(job)}"

    def _start(self, command: list[str], health: str, **environ: str) -> None:
        self._process = subprocess.Popen(command, env=os.environ | environ, stderr=subprocess.DEVNULL)
        for _ in range(200):
            with suppress(httpx.TransportError):
                self._client.get(health).raise_for_status()
                return
            time.sleep(0.05)
        raise RuntimeError(f"{command[0]} does not answer")

    def _stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()

    def _name(self, job: Job) -> str:
        return quote(Path(job["file"]).relative_to(self._files).as_posix())

    def _mark(self, job: Job) -> Path:
        """The text as a picture, which is how they want it."""
        font = ImageFont.truetype(FONT_FILE, min(job["width"], job["height"]) * 4 // 100)
        left, top, right, bottom = font.getbbox(TEXT)
        mark = Image.new("RGBA", (int(right - left), int(bottom - top)))
        ImageDraw.Draw(mark).text((-left, -top), TEXT, font=font, fill=(255, 255, 255, 153))
        file = self._files / f"mark-{job['width']}.png"
        if not file.exists():
            mark.save(file)
        return file


class Thumbor(Served):
    """thumbor."""

    def __init__(self, environment: Path, files: Path) -> None:
        """`environment` has thumbor installed."""
        super().__init__(files)
        config = files / "thumbor.conf"
        config.write_text(
            "LOADER = 'thumbor.loaders.file_loader'\n"
            f"FILE_LOADER_ROOT_PATH = {str(files)!r}\n"
            "STORAGE = 'thumbor.storages.no_storage'\nMAX_WIDTH = 0\nMAX_HEIGHT = 0\n"
        )
        command = [str(environment / "bin" / "thumbor"), "-i", "127.0.0.1", "-p", str(self._port)]
        self._start([*command, "-c", str(config), "-l", "ERROR"], "/healthcheck")


class Imagor(Served):
    """imagor."""

    def __init__(self, folder: Path, files: Path) -> None:
        """`folder` has the program."""
        super().__init__(files)
        options = ["-bind", f"127.0.0.1:{self._port}", "-imagor-unsafe", "-http-loader-disable"]
        times = [f"-imagor-{part}-timeout=120s" for part in ("request", "load", "process")]
        limits = ["-vips-max-resolution", "100000000", "-file-loader-base-dir", str(files)]
        self._start([str(folder / "imagor"), *options, *times, *limits], "/healthcheck")


class Imgproxy(Served):
    """imgproxy. It reads the picture that it marks others with when it starts."""

    def __init__(self, folder: Path, files: Path) -> None:
        """`folder` has the program."""
        super().__init__(files)
        self._program = str(folder / "imgproxy")
        self._with = Path()
        self._start_with(self._with)

    def do(self, job: Job) -> Answer:
        """Do a job."""
        if job["kind"] == "watermark" and (mark := self._mark(job)) != self._with:
            self._stop()
            self._start_with(mark)
        return super().do(job)

    def _start_with(self, mark: Path) -> None:
        self._with = mark
        settings = {
            "BIND": f"127.0.0.1:{self._port}",
            "LOCAL_FILESYSTEM_ROOT": str(self._files),
            "MAX_SRC_RESOLUTION": "100",
            "MAX_ANIMATION_FRAMES": "1000",
            "READ_TIMEOUT": "120",
            "WRITE_TIMEOUT": "120",
            "LOG_LEVEL": "error",
        }
        if mark.name:
            settings["WATERMARK_PATH"] = str(mark)
        self._start(
            [self._program], "/health", **{f"IMGPROXY_{name}": each for name, each in settings.items()}
        )

    def _url(self, job: Job, width: int) -> str:
        steps = [f"q:{job['quality']}"]
        if width:
            steps.append(f"rs:fit:{width}:0")
        if job["kind"] == "watermark":
            margin = job["height"] // 50
            steps.append(f"wm:1:soea:{margin}:{margin}")
        return f"/insecure/{'/'.join(steps)}/plain/local:///{self._name(job)}@{job['format']}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# --- getting them -----------------------------------------------------------------------------------------


def fetch(folder: Path) -> dict[str, str]:
    """Install what is not there yet; give what could not be had, and why."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = {}
    tasks = {
        "sharp": (folder / "node_modules" / "sharp", ["npm", "install", "--silent", "--prefix", ".", SHARP]),
        "thumbor": (folder / "thumbor" / "bin" / "thumbor", ["bash", "-c", _THUMBOR]),
        "imagor": (folder / "imagor" / "imagor", ["bash", "-c", _built("imagor", *IMAGOR)]),
        "imgproxy": (folder / "imgproxy" / "imgproxy", ["bash", "-c", _built("imgproxy", *IMGPROXY)]),
        "photographs": (folder / "photos", ["bash", "-c", _PHOTOS]),
    }
    for name, (proof, command) in tasks.items():
        if not proof.exists():
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode or not proof.exists():
                missing[name] = (done.stderr.strip() or "nothing was installed").splitlines()[-1][:200]
    if not shutil.which(MAGICK):
        missing["ImageMagick"] = "Debian's imagemagick is not installed"
    return missing


def _built(name: str, module: str, version: str, program: str) -> str:
    """A command that builds a Go program. imgproxy's own linker options have to be let through."""
    return (
        f"mkdir -p {name} && cd {name} && printf 'module peers\\n\\nrequire %s %s\\n' {module} {version} > go.mod && "
        f"CGO_LDFLAGS_ALLOW='-s|-w' go build -mod=mod -o {name} {program}"
    )


_THUMBOR: Final = f"python3 -m venv thumbor && thumbor/bin/pip install --quiet {THUMBOR}"
_PHOTOS: Final = (
    f"mkdir -p debs && cd debs && apt-get download --quiet {' '.join(PICTURES)} && "
    "for package in *.deb; do dpkg-deb -x $package ../photos.part || exit 1; done && mv ../photos.part ../photos"
)
