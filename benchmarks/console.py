"""How long the console's first page takes on a slow network: prints a table.

    .venv/bin/python benchmarks/console.py

A real browser with an empty cache opens the console of a running server; Chromium's own emulation slows the network
down, with the figures that its developer tools have for 3G. There is no peer: the goal is that the page is of use.
"""

import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from measuring import machine, server, table
from playwright.sync_api import Browser, sync_playwright

NETWORKS: Final = {"none": (0.0, -1), "fast 3G": (562.5, 1_600_000 * 0.9), "slow 3G": (2000.0, 400_000 * 0.9)}
"""Milliseconds of latency added to each request, and bits a second both ways."""
TIMES: Final = 5


def opened(browser: Browser, url: str, latency: float, bits: float) -> tuple[float, int]:
    """Seconds until the first heading and the place for photos are there, and the bytes that came over the network."""
    context = browser.new_context()
    page = context.new_page()
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    bytes_a_second = bits / 8 if bits > 0 else -1
    network.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": latency,
            "downloadThroughput": bytes_a_second,
            "uploadThroughput": bytes_a_second,
        },
    )
    came: list[int] = []
    network.on("Network.loadingFinished", lambda event: came.append(int(event["encodedDataLength"])))
    start = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.get_by_role("heading", level=1).wait_for(timeout=60_000)
    page.locator("input[type=file]").first.wait_for(state="attached", timeout=60_000)
    took = time.perf_counter() - start
    context.close()
    return took, sum(came)


def main() -> None:
    """Measure, and print."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        raise SystemExit("There is no Chromium here: `make browser` fetches one.")
    rows = []
    with (
        tempfile.TemporaryDirectory() as data,
        server(Path(data), workers=1) as (url, _),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, (latency, bits) in NETWORKS.items():
            seen = [opened(browser, url, latency, bits) for _ in range(TIMES)]
            seconds = statistics.median(took for took, _ in seen)
            rows.append([name, f"{seconds:.1f}", f"{max(size for _, size in seen) / 1000:.0f}"])
        browser.close()
    print(f"{machine()}. Medians of {TIMES}, with an empty cache.\n")
    print(table(["network slowed down to", "first page of use, s", "KB until then"], rows))


if __name__ == "__main__":
    main()
