"""Where a job's time goes: `make profile` writes RESULTS-profile.md and the flame graph of docs/performance.md.

The table is what `anatomy` measures. The flame graph is py-spy's: it looks at every process of a server 200 times a
second, while jobs of a 2 MP photo come one after the other. It shows what is done where, and is no account of CPU:
threads that wait are in it, who is looked at is slowed down, and a child of the sandbox often has drawn and gone before
py-spy knows of it.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import anatomy
import httpx
from measuring import machine, server
from pipeline import upload

from safelight.imaging.sample import photo

HERE: Final = Path(__file__).parent
PICTURE: Final = HERE.parent / "docs/assets/profile.svg"
SECONDS: Final = 20
RATE: Final = 200

HEAD: Final = """# Where a job's time goes

Measured by `make profile` on {machine}.

## From the last byte of the upload to COMPLETED

{steps}
Points are those of `safelight.faults`; to note one costs some microseconds. The commit of a claim is not waited for on
the disk: a claim that is lost with the machine is one that nobody holds.

## What the processes do meanwhile

All processes of a server with one worker for {seconds} s, {rate} samples a second, threads that wait among them. Open
the file by itself to zoom and search: [{picture}](../docs/assets/{picture}).
"""


def flame(program: Path) -> None:
    """Draw the flame graph with py-spy."""
    body = photo(1632, 1224)
    with (
        tempfile.TemporaryDirectory() as data,
        server(Path(data), workers=1) as (url, pid),
        httpx.Client(base_url=url) as client,
    ):
        for _ in range(3):
            _one(client, body)  # whatever is loaded late is loaded
        options = ["--pid", str(pid), "--subprocesses", "--duration", str(SECONDS), "--rate", str(RATE)]
        drawing = subprocess.Popen(
            [program, "record", *options, "--format", "flamegraph", "--output", str(PICTURE)],
            stdout=subprocess.DEVNULL,
        )
        while drawing.poll() is None:
            _one(client, body)
    if drawing.returncode:
        raise SystemExit("py-spy could not look at the server; it needs root, or ptrace to be allowed")
    PICTURE.write_text(impersonal(PICTURE.read_text(), data))


def impersonal(svg: str, data: str) -> str:
    """The picture without what is of this machine: its folders, and the command that drew it."""
    svg = re.sub(
        r'(<text id="title"[^>]*>)[^<]*', r"\1A server with one worker, jobs one after the other", svg
    )
    return svg.replace(f"{HERE.parent}/", "").replace(f"{sys.base_prefix}/", "").replace(data, "data")


def _one(client: httpx.Client, body: bytes) -> None:
    job, _ = upload(client, body)
    client.get(f"/jobs/{job}/events", timeout=60.0)


def main(program: Path) -> None:
    """Measure, draw, and write the report."""
    steps = anatomy.run()
    print(steps, flush=True)
    flame(program)
    text = HEAD.format(machine=machine(), steps=steps, picture=PICTURE.name, seconds=SECONDS, rate=RATE)
    (HERE / "RESULTS-profile.md").write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
