"""Where a job's time goes, here and on the AWS side: `make profile` writes RESULTS-profile.md and the flame graphs of
docs/performance.md.

The tables are what `anatomy` measures. The flame graphs are py-spy's: it looks at every process of a server, or at the
worker function, 200 times a second, while jobs of a 2 MP photo come one after the other. They show what is done where,
and are no account of CPU: threads that wait are in them, and who is looked at is slowed down. A child of the sandbox
often has drawn and gone before py-spy knows of it, so a third graph shows the drawing again and again in one process,
with what libraries do in it.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import anatomy
import aws
import httpx
from measuring import machine, server, tree
from pipeline import upload

from safelight.config import Settings
from safelight.imaging import render_in_process
from safelight.imaging.sample import photo
from safelight.model import Source
from safelight.recipes import canonical, default

HERE: Final = Path(__file__).parent
PICTURES: Final = HERE.parent / "docs/assets"
SECONDS: Final = 20
RATE: Final = 200

HEAD: Final = """# Where a job's time goes

Measured by `make profile` on {machine}.

## From the last byte of the upload to COMPLETED, on one machine

{steps}
Points are those of `safelight.faults`; to note one costs some microseconds. The commit of a claim is not waited for on
the disk: a claim that is lost with the machine is one that nobody holds.

## From the upload to COMPLETED, on the AWS side

{functions}
No cloud is in these figures: the emulator plays S3, DynamoDB, SQS and Lambda in one Python process on the same cores,
and all of a step but the rendering is mostly its time. What counts is the order of the steps, and that each is one call
or two.

## What the processes do meanwhile

All processes of a server with one worker for {seconds} s, {rate} samples a second, threads that wait among them. Open
the file by itself to zoom and search: [profile.svg](../docs/assets/profile.svg). The same of the worker function and
its children: [profile-aws.svg](../docs/assets/profile-aws.svg).

Most children of the sandbox have drawn and gone before anybody can look at them. What they do, again and again in one
process and outside the sandbox, down into the libraries: [profile-drawing.svg](../docs/assets/profile-drawing.svg).
"""


def flame(program: Path) -> None:
    """Draw the flame graph of a server."""
    body = photo(1632, 1224)
    with (
        tempfile.TemporaryDirectory() as data,
        server(Path(data), workers=1) as (url, pid),
        httpx.Client(base_url=url) as client,
    ):

        def one() -> None:
            job, _ = upload(client, body)
            client.get(f"/jobs/{job}/events", timeout=60.0)

        svg = record(program, lambda: pid, one)
        (PICTURES / "profile.svg").write_text(
            impersonal(svg, "A server with one worker, jobs one after the other", {data: "data"})
        )


def flame_of_functions(program: Path) -> None:
    """Draw the flame graph of the worker function."""
    body = photo(1632, 1224)
    with aws.ours() as running, aws.client(running) as client:

        def one() -> None:
            job, _, _ = aws.upload(client, body)
            while not running.completed(job):
                pass

        svg = record(program, lambda: process_of("worker-lambda"), one)
        code = re.search(r"/\S*/ministack-lambda-[^/\s]*", svg)
        folders = {code[0]: "task"} if code else {}
        (PICTURES / "profile-aws.svg").write_text(
            impersonal(svg, "The worker function, jobs one after the other", folders)
        )


def flame_of_drawing(program: Path) -> None:
    """Draw the flame graph of what a child of the sandbox does: the default recipe on the same photo."""
    settings, recipe = Settings(), canonical(default(Settings().watermark_text))
    with tempfile.TemporaryFile() as file:
        file.write(photo(1632, 1224))
        source = Source(key="uploads/profile/photo.jpg", version="1", bytes=file.tell(), sha256="0" * 64)

        def one() -> None:
            render_in_process(file, source, recipe, settings).close()

        svg = record(program, os.getpid, one, "--native")
        (PICTURES / "profile-drawing.svg").write_text(
            impersonal(svg, "What a child of the sandbox does, again and again in one process", {})
        )


def process_of(function: str) -> int:
    """The process that the emulator runs a function in."""
    name = f"AWS_LAMBDA_FUNCTION_NAME={function}".encode()
    members = tree(os.getpid())
    return next(pid for pid in members if name in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))


def record(program: Path, pid: Callable[[], int], one: Callable[[], None], *more: str) -> str:
    """The flame graph of a process and its children, while `one` is done again and again."""
    for _ in range(3):
        one()  # whatever is loaded late is loaded
    with tempfile.NamedTemporaryFile(suffix=".svg") as picture:
        options = [
            "--pid",
            str(pid()),
            "--subprocesses",
            "--duration",
            str(SECONDS),
            "--rate",
            str(RATE),
            *more,
        ]
        drawing = subprocess.Popen(
            [program, "record", *options, "--format", "flamegraph", "--output", picture.name],
            stdout=subprocess.DEVNULL,
        )
        while drawing.poll() is None:
            one()
        if drawing.returncode:
            raise SystemExit("py-spy could not look at the server; it needs root, or ptrace to be allowed")
        return Path(picture.name).read_text()


def impersonal(svg: str, title: str, folders: Mapping[str, str]) -> str:
    """The picture without what is of this machine: its folders, and the command that drew it."""
    svg = re.sub(r'(<text id="title"[^>]*>)[^<]*', rf"\1{title}", svg)
    for folder, name in folders.items():
        svg = svg.replace(folder, name)
    svg = svg.replace(f"{HERE.parent}/", "").replace(f"{sys.base_prefix}/", "")
    return re.sub(
        r"&quot;/[^<]*\.\.</text>", "&quot;..</text>", svg
    )  # a label may be cut off within a folder's name


def main(program: Path) -> None:
    """Measure, draw, and write the report."""
    steps, functions = anatomy.run(), anatomy.run_functions()
    print(steps, functions, sep="\n", flush=True)
    flame(program)
    flame_of_functions(program)
    flame_of_drawing(program)
    text = HEAD.format(machine=machine(), steps=steps, functions=functions, seconds=SECONDS, rate=RATE)
    (HERE / "RESULTS-profile.md").write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
