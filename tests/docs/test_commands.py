"""Every command block of the documentation does what the page says, in a shell, in the order of the page."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image
from tests.docs.reading import AWS, filled_in, reader
from tests.journeys.serving import READY, Server, environment, image, until
from tests.support import pages, servers
from tests.support.pages import SHELL, Block, Shell

from safelight.errors import NotAuthenticated

EVERY = {page: pages.blocks(page) for page in pages.pages()}
LOCAL = [page for page, found in EVERY.items() if page != AWS and any(b.language in SHELL for b in found)]


class Local:
    """A reader on one machine, with a folder of pictures. Port 8000 is whatever port is free."""

    def __init__(self, folder: Path, shell: Shell) -> None:
        self.folder = folder
        self.shell = shell
        self.port = servers.free_port()
        self._log = folder.with_name("server.log")

    def do(self, block: Block) -> None:
        """Run one block, or start the server that it starts."""
        text = filled_in(block.text, self.shell.said).replace(":8000", f":{self.port}")
        if block.said == "server":
            self._serve(text)
        elif block.language == "python":
            (self.folder / "page.py").write_text(text, encoding="utf-8")
            self.shell.run(f"'{sys.executable}' page.py")
        else:
            self.shell.run(text)

    def log(self) -> str:
        """What the server has told so far."""
        return self._log.read_text() if self._log.exists() else "none was started"

    def _serve(self, text: str) -> None:
        self._log.unlink(missing_ok=True)
        text = re.sub(
            r"make run|safelight serve(?: --port \d+)?", f"exec safelight serve --port {self.port}", text
        )
        self.shell.run('if [ "${SERVER-}" ]; then kill "$SERVER"; wait "$SERVER" || true; fi')
        self.shell.run(f"{{ {text}\n}} >'{self._log}' 2>&1 &\nSERVER=$!")
        until(lambda: self._log.exists() and READY in self._log.read_text())
        self.shell.run(f"export SAFELIGHT_API=http://127.0.0.1:{self.port}")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("page", LOCAL)
def test_the_commands_of_a_page(page: str, tmp_path: Path) -> None:
    """They work as they stand, from the first to the last."""
    with reader(tmp_path / "reader") as shell:
        here = Local(tmp_path / "reader", shell)
        try:
            for block in EVERY[page]:
                if block.language in (*SHELL, "python") and not block.reason:
                    here.do(block)
        except AssertionError as error:
            error.add_note(f"--- the server:\n{here.log()}")
            raise


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md"])
def test_the_steps_with_curl_end_with_what_is_refused(page: str, tmp_path: Path) -> None:
    """As a script they show why, and neither go on nor wait for what can not come."""
    steps = "".join(b.text for b in EVERY[page] if re.search(r"\b(curl|ask) ", b.text))
    assert "field() {" in steps
    assert "-o finished.jpg" in steps
    (tmp_path / "beach.jpg").write_bytes(image())

    def ends(api: str) -> str:
        script = tmp_path / "steps.sh"
        script.write_text(steps.replace("http://127.0.0.1:8000", api), encoding="utf-8")
        done = subprocess.run(
            ["sh", script.name],
            cwd=tmp_path,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=20,
        )
        assert done.returncode != 0, done.stdout
        assert "COMPLETED" not in done.stdout
        return done.stdout

    port = servers.free_port()
    assert f"127.0.0.1 port {port}" in ends(f"http://127.0.0.1:{port}")
    with Server(tmp_path / "closed", "--workers", "1", auth="apikey") as server:
        assert NotAuthenticated.code in ends(server.url)
    with Server(tmp_path / "small", "--workers", "1", max_bytes="1kB") as server:
        assert "EntityTooLarge" in ends(server.url)


@pytest.mark.parametrize("page", EVERY)
def test_every_block_is_run_or_says_why_not(page: str) -> None:
    """A block of commands names its language, and a reason if it can not be run; indented ones could hide."""
    text = (pages.ROOT / page).read_text(encoding="utf-8")
    outside = re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert (
        re.findall(r"^    (?:safelight|make|curl|export|pip|SAFELIGHT_\w+=).*$", outside, re.MULTILINE) == []
    )
    for block in EVERY[page]:
        assert block.language, f"{block} names no language"
        assert block.said in ("", "server") or block.reason, f"{block}: {block.said!r} is not known"


def test_json_blocks_are_json() -> None:
    """What is shown as JSON can be read as JSON."""
    for found in EVERY.values():
        for block in found:
            if block.language == "json":
                json.loads(block.text)


RECIPES = [b for found in EVERY.values() for b in found if b.language == "yaml" and "version: 1" in b.text]


@pytest.mark.parametrize("block", RECIPES, ids=str)
def test_recipes_can_be_used(block: Block, tmp_path: Path) -> None:
    """Every recipe that a page shows passes `safelight recipe lint`, and renders a picture."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(block.text, encoding="utf-8")
    (tmp_path / "beach.jpg").write_bytes(image())
    (tmp_path / "assets").mkdir()
    Image.new("RGBA", (40, 20), "#00808080").save(tmp_path / "assets/logo.png")
    command = [sys.executable, "-m", "safelight", "render", "beach.jpg", "--recipe", str(recipe)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment() | {"SAFELIGHT_ASSETS": str(tmp_path / "assets")},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    made = list((tmp_path / "safelight-out").iterdir())
    assert len(made) >= len(yaml.safe_load(block.text).get("outputs", ["main"]))
