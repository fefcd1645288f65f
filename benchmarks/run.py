"""Runs every benchmark and writes RESULTS.md: `make bench`."""

from pathlib import Path

import api
import pipeline
import watermark
from measuring import machine

HEAD = """# Benchmarks

Measured by `make bench` on {machine}.
Machines are noisy: every figure stands beside a peer that was measured in the same run, in turns, and the ratios are
what counts.
"""


def main() -> None:
    """Measure everything, print each section as it is ready, and write the report."""
    sections = [HEAD.format(machine=machine())]
    for part in (watermark, pipeline, api):
        sections.append(part.run())
        print(sections[-1], flush=True)
    Path(__file__).with_name("RESULTS.md").write_text("\n".join(sections))


if __name__ == "__main__":
    main()
