"""Runs every benchmark and writes RESULTS.md: `make bench`. With `--quick`, prints the least that shows whether
something has become slow, and writes nothing: `make bench-quick`."""

import sys
import tempfile
from pathlib import Path

import api
import pipeline
import watermark
from measuring import machine

from safelight.imaging.sample import photo

HEAD = """# Benchmarks

Measured by `make bench` on {machine}.
Machines are noisy: every figure stands beside a peer that was measured in the same run, in turns, and the ratios are
what counts.
"""


def quick() -> None:
    """Ratios to the usual Pillow, what the sandbox costs, and the latency of an idle server: below a minute."""
    print(watermark.run(watermark.SIZES[:2], rounds=5), flush=True)
    with tempfile.TemporaryDirectory() as name:
        picture = Path(name) / "2.jpg"
        picture.write_bytes(photo(1632, 1224))
        print(pipeline.idle(Path(name), picture, count=15))


def main() -> None:
    """Measure everything, print each section as it is ready, and write the report."""
    sections = [HEAD.format(machine=machine())]
    for part in (watermark, pipeline, api):
        sections.append(part.run())
        print(sections[-1], flush=True)
    Path(__file__).with_name("RESULTS.md").write_text("\n".join(sections))


if __name__ == "__main__":
    quick() if "--quick" in sys.argv[1:] else main()
