"""`safelight watch`, on a real server."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.journeys.serving import COMMAND, Server, client, environment, image, safelight


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("watch") / "data") as server:
        yield server


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with client(server.url) as http:
        yield http


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two pictures, and one that is none."""
    folder = tmp_path / "in"
    (folder / "below").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(image())
    (folder / "below" / "b.jpg").write_bytes(image("png"))
    (folder / "c.jpg").write_bytes(b"no picture")
    return folder


def once(server: Server, folder: Path, *more: str | Path) -> subprocess.CompletedProcess[str]:
    """What one run said. It is shown beside whatever a test finds wrong, and the server was there for it."""
    done = safelight(
        "watch",
        folder,
        "--out",
        folder.parent / "out",
        "--once",
        "--every",
        "0.1",
        "--json",
        "--api",
        server.url,
        *more,
    )
    sys.stderr.write(f"watch --once ended with {done.returncode} and said:\n{done.stderr}")
    away = ("[unreachable]", "No Safelight answers", "does not answer")
    assert not [words for words in away if words in done.stderr], (done.returncode, done.stderr)
    return done


def count(http: httpx.Client) -> int:
    return len(http.get("/jobs", params={"limit": 100}).json()["items"])


def test_what_is_there_is_done_once(server: Server, http: httpx.Client, folder: Path) -> None:
    """Also what fails by its own fault; a second run finds nothing, and a picture that changed is done anew."""
    first = once(server, folder)
    results = {Path(r["file"]).name: r["status"] for r in map(json.loads, first.stdout.splitlines())}
    assert results == {"a.jpg": "COMPLETED", "b.jpg": "COMPLETED", "c.jpg": "FAILED"}
    assert first.returncode == 1
    out = folder.parent / "out"
    assert (out / "a-main.jpg").is_file()
    assert (out / "below" / "b-main.png").is_file()
    jobs = count(http)
    second = once(server, folder)
    assert (second.returncode, second.stdout) == (0, "")
    (folder / "c.jpg").write_bytes(image())
    assert json.loads(once(server, folder).stdout)["status"] == "COMPLETED"
    assert count(http) == jobs + 1


def test_nobody_to_do_it(folder: Path) -> None:
    """With --once, that is an end: exit code 1, and what to do about it."""
    done = safelight("watch", folder, "--out", folder.parent / "out", "--once", "--api", "http://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.endswith("No Safelight answers at http://127.0.0.1:9; start one with `safelight serve`.")


def test_a_recipe_that_there_is_not(server: Server, http: httpx.Client, folder: Path) -> None:
    """It is told once and ends the watch, however many files there are; nothing is remembered as done."""
    done = once(server, folder, "--recipe", "nope")
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert "There is no recipe 'nope'" in line
    assert len(once(server, folder).stdout.splitlines()) == 3


def test_another_recipe_is_another_result(server: Server, folder: Path) -> None:
    """What one recipe has done the next has not; and what both have done neither does again. A file that says something
    else than before is another recipe."""
    recipe = folder.parent / "recipe.yaml"
    names = []
    for width in (20, 40):
        recipe.write_text(
            f"version: 1\nchain: [{{op: resize, width: {width}}}]\noutputs: {{w{width}: {{format: webp}}}}\n"
        )
        done = once(server, folder, "--recipe", recipe)
        names += [Path(saved["path"]).name for line in done.stdout.splitlines() for saved in outputs(line)]
        assert once(server, folder, "--recipe", recipe).stdout == ""
    assert sorted(names) == ["a-w20.webp", "a-w40.webp", "b-w20.webp", "b-w40.webp"]
    assert len(once(server, folder).stdout.splitlines()) == 3
    assert once(server, folder).stdout == ""
    assert once(server, folder, "--recipe", recipe).stdout == ""
    assert len(once(server, folder, "--recipe", "default").stdout.splitlines()) == 3


def outputs(line: str) -> list[dict[str, str]]:
    """What a line of --json says was saved."""
    found: list[dict[str, str]] = json.loads(line)["outputs"]
    return found


def test_a_memory_from_before_recipes_were_told(server: Server, folder: Path) -> None:
    """It counts for any recipe: nobody wants a whole folder done again for an update."""
    once(server, folder)
    journal = folder.parent / "out" / ".safelight-watch"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    journal.write_text("".join(json.dumps(line | {"recipe": None}) + "\n" for line in lines))
    assert len(once(server, folder).stdout.splitlines()) == 3
    for line in lines:
        del line["recipe"]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert once(server, folder).stdout == ""


def test_a_lost_memory_makes_no_second_job(server: Server, http: httpx.Client, folder: Path) -> None:
    """The same state of the same file is the same job, also when nobody wrote down that it was done."""
    first = once(server, folder)
    assert len(first.stdout.splitlines()) == 3, (first.returncode, first.stderr)
    jobs = count(http)
    shutil.rmtree(folder.parent / "out")
    assert len(once(server, folder).stdout.splitlines()) == 3
    assert count(http) == jobs
    assert (folder.parent / "out" / "a-main.jpg").is_file()


def test_what_lands_is_taken(server: Server, folder: Path) -> None:
    """While it runs, until it is told to stop."""
    command = [*COMMAND, "watch", str(folder), "--out", str(folder.parent / "out"), "--every", "0.1"]
    with subprocess.Popen(
        [*command, "--json", "--api", server.url],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline().endswith("Ctrl-C ends it.\n")
        for _ in range(3):
            process.stdout.readline()
        (folder / "late.jpg").write_bytes(image())
        assert json.loads(process.stdout.readline())["status"] == "COMPLETED"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


def test_results_are_not_watched(folder: Path) -> None:
    """They would be taken for new pictures, and theirs again, without an end."""
    done = safelight("watch", folder, "--out", folder / "below" / "..", "--once")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is watched itself, and its results would be taken for new pictures" in done.stderr


def test_there_is_a_folder(tmp_path: Path) -> None:
    """A name that leads nowhere is told at once."""
    done = safelight("watch", tmp_path / "nowhere", "--out", tmp_path / "out", "--once")
    assert (done.returncode, "no folder" in done.stderr) == (2, True)
    (file := tmp_path / "a.jpg").touch()
    done = safelight("watch", file, "--out", tmp_path / "out", "--once")
    assert (done.returncode, "name the folder that it lies in" in done.stderr) == (2, True)
