"""`safelight demo`: one picture goes through a real Safelight, and every request and answer is shown."""

import json
import mimetypes
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from safelight.entrypoints.cli.own_server import OwnServer
from safelight.entrypoints.cli.terminal import UsageError, in_bytes, in_seconds, named
from safelight.errors import FileError, SafelightError

if TYPE_CHECKING:
    import httpx
    from rich.console import Console

FOLDER: Final = Path("safelight-demo")
GIVE_UP_AFTER: Final = 45.0
LOOK_EVERY: Final = 0.05

SHOWN: Final = (
    "jobId",
    "uploadUrl",
    "expiresIn",
    "status",
    "stage",
    "createdAt",
    "updatedAt",
    "downloadUrl",
    "errorMessage",
)


def demo(photo: Path | None = None, /) -> int:
    """Send one picture through a real Safelight and show each request, each answer and the time it took.

    The server is started for the demo and ended with it. What comes out stays in ./safelight-demo.

    Parameters
    ----------
    photo
        A picture of your own; without, one of 12 megapixels is made.
    """
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    picture = _picture(photo)
    console.print("[bold]Safelight: one picture through the whole pipeline[/]\n")
    console.print(f"  picture  {named(picture.path)}: {picture.words}", markup=False)
    with OwnServer(FOLDER / "server.log") as server:
        console.print(f"  server   {server.url}, started for this demo")
        return Walk(console, server.url, picture).run()


class Picture(NamedTuple):
    """The original."""

    path: Path
    content_type: str
    width: int = 0
    height: int = 0

    @property
    def bytes(self) -> int:
        """Its size."""
        return self.path.stat().st_size

    @property
    def words(self) -> str:
        """What it is."""
        return in_words(self.content_type, self.width, self.height, self.bytes)


def in_words(content_type: str, width: int, height: int, size: int) -> str:
    """What a picture is; of what is none, there is no width and height to tell."""
    pixels = f"{width} × {height} ({width * height / 1e6:.3g} megapixels), " if width else ""
    return f"{content_type}, {pixels}{in_bytes(size)}"


def _picture(photo: Path | None) -> Picture:
    """The picture to send: the caller's, or one made by code. What is no picture is sent, too: the pipeline says so.

    Raise UsageError for a file that can not be read.
    """
    from safelight.imaging import headers

    if photo is None:
        FOLDER.mkdir(exist_ok=True)
        photo = FOLDER / "photo.jpg"
        from safelight.imaging.sample import photo as make

        photo.write_bytes(make(4000, 3000))
    try:
        content = photo.read_bytes()
    except OSError as error:
        raise UsageError(f"The picture {photo} can not be read: {error.strerror}.") from None
    FOLDER.mkdir(exist_ok=True)
    try:
        header = headers.read(content)
    except FileError:
        return Picture(photo, mimetypes.guess_type(photo.name)[0] or "application/octet-stream")
    return Picture(photo, f"image/{header.format}", header.width, header.height)


class Walk:
    """The five steps, each shown as it is done."""

    def __init__(self, console: "Console", api: str, picture: Picture) -> None:
        import httpx

        self._console = console
        self._api = api
        self._picture = picture
        self._http = httpx.Client(trust_env=False, timeout=30.0)
        self._times: list[tuple[str, float]] = []

    def run(self) -> int:
        """Do it all; return the exit code."""
        with self._http:
            answer = self._ask()
            self._send(answer["uploadUrl"])
            sent = time.monotonic()
            job = f"{self._api}/jobs/{answer['jobId']}"
            self._look(job)
            done = self._look_until_it_ends(job, sent)
            if done["status"] != "COMPLETED":
                raise SafelightError(f"The picture could not be processed: {done['errorMessage']}")
            result = self._download(done["downloadUrl"])
        self._sum_up(result, done)
        return 0

    def _ask(self) -> dict[str, Any]:
        self._step(1, "Ask for an upload. It creates a job, and a URL that is signed for this one file.")
        body = json.dumps({"filename": self._picture.path.name}, ensure_ascii=False)
        url = f"{self._api}/uploads"
        self._curl("-X POST", "-H 'Content-Type: application/json'", f"-d {shlex.quote(body)}", url)
        start = time.monotonic()
        response = self._http.post(url, content=body.encode(), headers={"Content-Type": "application/json"})
        self._took("ask for an upload", start)
        return self._answer(response)

    def _send(self, url: str) -> None:
        self._step(
            2, "Send the file straight to storage. The URL is all it takes; the API never sees the bytes."
        )
        picture = self._picture
        content_type = f"Content-Type: {picture.content_type}"
        file = shlex.quote(f"@{picture.path}")
        self._curl("-X PUT", f"-H '{content_type}'", f"--data-binary {file}", url)
        start = time.monotonic()
        with picture.path.open("rb") as file_:
            headers = {"Content-Type": picture.content_type, "Content-Length": str(picture.bytes)}
            response = self._http.put(url, content=file_, headers=headers)
        self._took(f"send {in_bytes(picture.bytes)}", start)
        self._answer(response)

    def _look(self, url: str) -> None:
        self._step(3, "Look at once. Storage has told the queue, and a worker takes the job.")
        self._curl(url)
        start = time.monotonic()
        response = self._http.get(url)
        self._took("look at the job", start)
        self._answer(response)

    def _look_until_it_ends(self, url: str, sent: float) -> dict[str, Any]:
        self._step(4, "Look again until it has ended. A worker checks the bytes and draws the mark.")
        self._curl(url)
        while True:
            response = self._http.get(url)
            document: dict[str, Any] = response.json()
            if response.is_error or document["status"] not in ("PENDING", "PROCESSING"):
                break
            if time.monotonic() > sent + GIVE_UP_AFTER:
                raise SafelightError(f"The job is still {document['status']} after {GIVE_UP_AFTER:.0f} s.")
            time.sleep(LOOK_EVERY)
        self._took("from sent to finished", sent)
        return self._answer(response)

    def _download(self, url: str) -> Path:
        self._step(5, "Download the result.")
        suffix = Path(urlsplit(url).path).suffix
        path = FOLDER / f"{self._picture.path.stem}-finished{suffix}"
        self._curl(f"-o {shlex.quote(str(path))}", url)
        start = time.monotonic()
        response = self._http.get(url)
        self._answer(response)
        path.write_bytes(response.content)
        self._took(f"download {in_bytes(len(response.content))}", start)
        return path

    def _sum_up(self, result: Path, done: dict[str, Any]) -> None:
        times = [(name, in_seconds(seconds)) for name, seconds in self._times]
        wide, long = (max(len(cell) for cell in column) for column in zip(*times, strict=True))
        self._console.print()
        for name, time_ in times:
            self._console.print(f"  {name:{wide}}  {time_:>{long}}", markup=False)
        self._console.print()
        output = done["outputs"][0]
        words = in_words(output["contentType"], output["width"], output["height"], output["bytes"])
        self._console.print(f"  before  {named(self._picture.path)}: {self._picture.words}", markup=False)
        self._console.print(f"  after   [bold green]{result}[/]: {words}")
        self._console.print(
            "\nOpen it: the mark is in the lower right corner. `make run` starts Safelight to stay."
        )

    # --- showing ---

    def _step(self, number: int, words: str) -> None:
        self._console.print(f"\n[bold]{number}. {words}[/]\n")

    def _curl(self, *words: str) -> None:
        """The request as a command to paste."""
        *options, url = words
        lines = ["curl", *options] if options else ["curl"]
        text = " ".join(lines) + (" \\\n      " if options else " ") + shlex.quote(url)
        self._console.print(f"    $ {text}", style="cyan", markup=False)

    def _answer(self, response: "httpx.Response") -> dict[str, Any]:
        """Show an answer and return it, or raise what it says."""
        from rich.highlighter import JSONHighlighter
        from rich.text import Text

        what = f"{response.status_code} {response.reason_phrase}"
        kind = response.headers.get("content-type", "")
        if "json" not in kind:
            length = len(response.content)
            self._console.print(
                f"\n    {what}" + (f", {kind}, {in_bytes(length)}" if length else ""), style="dim"
            )
            if response.is_error:
                raise SafelightError(f"{response.request.url.host} answered {what}: {response.text}")
            return {}
        document: dict[str, Any] = response.json()
        shown = {name: readable(document[name]) for name in SHOWN if name in document} or document
        text = json.dumps(shown, indent=2, ensure_ascii=False).replace("\n", "\n    ")
        self._console.print(f"\n    {what}", style="dim")
        self._console.print(JSONHighlighter()(Text(f"    {text}")))
        if more := [name for name in document if name not in shown]:
            self._console.print(f"    and {', '.join(more)}", style="dim")
        if response.is_error:
            raise SafelightError(f"The server answered {what}: {document.get('detail')}")
        return document

    def _took(self, name: str, start: float) -> None:
        self._times.append((name, time.monotonic() - start))


def readable(value: Any) -> Any:
    """A value as it is, but a long URL with its signed parameters cut short."""
    if not isinstance(value, str) or not value.startswith(("http://", "https://")) or len(value) < 100:
        return value
    parts = urlsplit(value)
    query = "&".join(
        f"{name}={text if len(text) < 12 else text[:6] + '…'}" for name, text in parse_qsl(parts.query)
    )
    return parts._replace(query=query).geturl()
