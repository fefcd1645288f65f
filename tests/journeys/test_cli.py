"""Every command, as a script would run it: against a real server, without a terminal."""

import json
import os
import pty
import re
import select
import signal
import subprocess
from pathlib import Path

import httpx
import pytest
import yaml
from tests.journeys.serving import (
    COMMAND,
    Server,
    client,
    decoded,
    environment,
    image,
    safelight,
    submit,
    until,
    wait,
)

NOBODY = "http://127.0.0.1:9"
IMPATIENT = [
    *(COMMAND[0], "-c"),
    "from safelight.client import http; http.PATIENCE = 2; from safelight.entrypoints.cli import main; main()",
]
"""The command line that waits two seconds for a server that was there."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two pictures, one of them further down, a file that is no picture, and one that is hidden."""
    folder = tmp_path / "holiday"
    (folder / "day 2").mkdir(parents=True)
    (folder / "beach.jpg").write_bytes(image())
    (folder / "day 2" / "hill.PNG").write_bytes(image("png"))
    (folder / "notes.txt").write_text("not an image")
    (folder / ".hidden.jpg").write_bytes(image())
    return folder


def saved(folder: Path) -> list[str]:
    """All files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_upload_a_folder(api: str, folder: Path, tmp_path: Path) -> None:
    """All pictures of a folder are sent, and come back in folders that look like it. A second run adds nothing."""
    left_out = f"Left out, as no pictures by their names: {folder / 'notes.txt'}.\n"
    for more in ((), ("--json",)):
        done = safelight("upload", folder, *more, "--out", "out", cwd=tmp_path, settings={"api": api})
        assert (done.returncode, done.stderr) == (0, "" if more else left_out)
        assert len(done.stdout.splitlines()) == 2
        assert saved(tmp_path / "out") == ["beach-main.jpg", "day 2/hill-main.png"]
    assert decoded((tmp_path / "out/day 2/hill-main.png").read_bytes()).size == (320, 240)


def test_upload_never_replaces_a_file(api: str, photo: Path, tmp_path: Path) -> None:
    """A file that is there already stays; the result gets another name."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/beach-main.jpg").write_text("mine")
    done = safelight("upload", photo, "--out", tmp_path / "out", "--api", api)
    assert done.returncode == 0, done.stderr
    assert saved(tmp_path / "out") == ["beach-main (2).jpg", "beach-main.jpg"]
    assert (tmp_path / "out/beach-main.jpg").read_text() == "mine"


def test_one_bad_file_does_not_stop_the_others(api: str, photo: Path, tmp_path: Path) -> None:
    """Good files are done; each bad one is a line with its code; the exit code is 1."""
    bad, empty = tmp_path / "bad.jpg", tmp_path / "empty.jpg"
    bad.write_text("not a picture")
    empty.touch()
    files = (bad, photo, empty)
    done = safelight("upload", *files, "--out", tmp_path / "out", "--json", "--api", api)
    assert done.returncode == 1
    results = {Path(r["file"]).name: r for r in map(json.loads, done.stdout.splitlines())}
    codes = {name: (result["error"] or {}).get("code") for name, result in results.items()}
    assert codes == {
        "bad.jpg": "type_not_allowed",
        "beach.jpg": None,
        "empty.jpg": "empty_file",
    }
    assert results["beach.jpg"]["outputs"][0]["path"] == str(tmp_path / "out/beach-main.jpg")
    assert len(done.stderr.splitlines()) == 3
    assert f"safelight: {empty}: The file is empty (0 bytes). [empty_file]" in done.stderr.splitlines()
    assert done.stderr.splitlines()[-1] == "safelight: 2 of 3 files failed."


@pytest.mark.parametrize("command", ["upload", "render"])
def test_a_file_that_is_not_there(command: str, photo: Path, tmp_path: Path) -> None:
    """The command was not meant so: it names the file, does nothing, and ends with 2."""
    done = safelight(command, photo, "absent.jpg", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "safelight: There is no file absent.jpg.\n"
    assert saved(tmp_path) == ["beach.jpg"]


@pytest.mark.parametrize("command", ["upload", "render"])
def test_an_output_folder_that_can_not_be(command: str, photo: Path, tmp_path: Path) -> None:
    """It is the folder's fault and not the picture's, and is said before anything is done: exit code 2."""
    (tmp_path / "file").touch()
    done = safelight(command, photo, "--out", "file/out", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("safelight: The output folder --out file/out can not be used")


def one_at_a_time(folder: Path, count: int) -> list[Path]:
    """Pictures that keep one worker busy for a while."""
    body = image("jpeg", (4000, 3000))
    files = [folder / f"{number}.jpg" for number in range(count)]
    for file in files:
        file.write_bytes(body)
    return files


@pytest.mark.embedded
def test_a_server_that_goes_away(tmp_path: Path) -> None:
    """Every file is told, and for those that were sent, which job they are; then how many failed: exit code 1."""
    files = one_at_a_time(tmp_path, 6)
    command = [*IMPATIENT, "upload", *map(str, files), "--out", str(tmp_path / "out"), "--api"]
    with (
        Server(tmp_path / "data", "--workers", "1") as server,
        subprocess.Popen(
            [*command, server.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        ) as process,
    ):
        assert process.stdout is not None
        first = process.stdout.readline()
        assert "0" in first, first or (process.communicate(timeout=45)[1], process.returncode)
        server.kill()
        _, said = process.communicate(timeout=45)
    lines = said.splitlines()
    # Standard output does not tell how many: more may have been read of it than the first line.
    failed = len(lines) - 1
    assert process.returncode == 1
    assert 1 <= failed <= 5, said
    assert all("does not answer any more" in line for line in lines[:-1])
    later = rf"is job (\S+): `safelight jobs save \1 --api \S+ --out {tmp_path}/out`"
    assert any(re.search(later, line) for line in lines[:-1])
    assert lines[-1] == f"safelight: {failed} of 6 files failed."


@pytest.mark.embedded
def test_ctrl_c_while_files_are_under_way(tmp_path: Path) -> None:
    """What was sent and has not come back is named with its job, which goes on without us."""
    files = one_at_a_time(tmp_path, 6)
    command = [*COMMAND, "upload", *map(str, files), "--out", str(tmp_path / "out"), "--api"]
    with (
        Server(tmp_path / "data", "--workers", "1") as server,
        subprocess.Popen(
            [*command, server.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        ) as process,
    ):
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        lines = said.splitlines()
        assert (process.returncode, lines[-1]) == (130, "safelight: Interrupted.")
        assert len(lines) > 1
        for line in lines[:-1]:
            told = re.fullmatch(
                r"safelight: .*\.jpg: sent, and goes on as job (\S+); "
                rf"`safelight jobs save \1 --api \S+ --out {tmp_path}/out` waits .*",
                line,
            )
            assert told, line
            with client(server.url) as http:
                assert wait(http, told[1])["status"] == "COMPLETED"


def test_upload_without_waiting(api: str, http: httpx.Client, photo: Path, tmp_path: Path) -> None:
    """--no-wait tells the job and saves nothing."""
    done = safelight("upload", photo, "--no-wait", "--json", "--api", api, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert wait(http, json.loads(done.stdout)["jobId"])["status"] == "COMPLETED"
    assert (done.stderr, saved(tmp_path)) == ("", ["beach.jpg"])
    told = safelight("upload", photo, "--no-wait", settings={"api": api})
    [job_id] = re.findall(r"PENDING as job (\S+)", told.stdout)
    assert told.stderr == f"`safelight jobs save {job_id}` waits for it and saves its results.\n"
    aside = safelight("upload", photo, "--no-wait", "--out", "my web", settings={"api": api})
    assert " --out 'my web'` waits for it" in aside.stderr
    elsewhere = safelight("upload", photo, photo.parent, "--no-wait", "--api", api)
    assert f"jobs save {job_id} --api {api}`" not in elsewhere.stderr
    assert f" --api {api}`" in elsewhere.stderr


def test_saving_the_results_of_jobs(api: str, http: httpx.Client, photo: Path, tmp_path: Path) -> None:
    """What was sent before is waited for and saved as `upload` saves it; what has no results is told, with 1."""
    made = [submit(http, photo.read_bytes(), filename="beach.jpg")]
    done = safelight("jobs", "save", *made, "--api", api, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"✓ job {made[0]} → safelight-out/beach-main.jpg (")
    assert saved(tmp_path / "safelight-out") == ["beach-main.jpg"]
    made += [submit(http, b"not a picture", filename="bad.jpg"), "nobody-knows-it"]
    done = safelight("jobs", "save", *made, *made, "--out", tmp_path / "out", "--json", "--api", api)
    told = {result["jobId"]: result for result in map(json.loads, done.stdout.splitlines())}
    assert {(each["file"], each["status"], (each["error"] or {}).get("code")) for each in told.values()} == {
        ("beach.jpg", "COMPLETED", None),
        ("bad.jpg", "FAILED", "type_not_allowed"),
        (None, "FAILED", "job_not_found"),
    }
    assert told.keys() == set(made)
    assert told[made[0]]["outputs"][0]["path"] == str(tmp_path / "out/beach-main.jpg")
    lines = done.stderr.splitlines()
    why = "There is no job nobody-knows-it here; `safelight jobs ls` lists those there are."
    assert f"safelight: job nobody-knows-it: {why} [job_not_found]" in lines
    assert (done.returncode, lines[-1]) == (1, "safelight: 2 of 3 jobs failed.")


def test_upload_with_a_recipe_file(api: str, photo: Path, tmp_path: Path) -> None:
    """A recipe file goes along with the request; each of its outputs is saved."""
    recipe = tmp_path / "two.yaml"
    recipe.write_text("version: 1\noutputs:\n  web: {format: webp, quality: 70}\n  small: {format: png}\n")
    done = safelight("upload", photo, "--recipe", recipe, "--out", tmp_path / "out", "--api", api)
    assert done.returncode == 0, done.stderr
    assert saved(tmp_path / "out") == ["beach-small.png", "beach-web.webp"]


def test_an_unknown_recipe(api: str, photo: Path, tmp_path: Path) -> None:
    """A recipe that the server does not know is one line that names those it knows."""
    done = safelight("upload", photo, "--recipe", "nope", "--api", api, cwd=tmp_path)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "'nope'" in line
    assert "default" in line


def test_a_list_that_is_cut_says_so(api: str, http: httpx.Client) -> None:
    """Beside the list, which scripts read; not where it is whole."""
    for _ in range(2):
        submit(http, image())
    cut = safelight("jobs", "ls", "--limit", "1", "--api", api)
    assert len(cut.stdout.splitlines()) == 2
    assert cut.stderr == "These are the newest 1; --limit shows more.\n"
    assert not safelight("jobs", "ls", "--limit", "1000", "--api", api).stderr


def test_a_list_says_why_jobs_failed(api: str, http: httpx.Client) -> None:
    """By the code, in a column that is there if there is one to tell."""
    good, bad = submit(http, image(), filename="beach.jpg"), submit(http, b"no picture", filename="bad.jpg")
    for job_id in (good, bad):
        wait(http, job_id)
    listed = safelight("jobs", "ls", "--status", "FAILED", "--api", api).stdout.splitlines()
    assert listed[0].split() == ["JOB", "STATUS", "ERROR", "UPDATED", "FILE"]
    assert [line.split()[1:3] for line in listed if bad in line] == [["FAILED", "type_not_allowed"]]
    listed = safelight("jobs", "ls", "--status", "COMPLETED", "--api", api).stdout.splitlines()
    assert listed[0].split() == ["JOB", "STATUS", "UPDATED", "FILE"]


def test_jobs(api: str, http: httpx.Client) -> None:
    """ls, get, watch, cancel, retry and rm say what they did, to people and to programs."""
    job_id = submit(http, image(), filename="beach.jpg")
    watched = safelight("jobs", "watch", job_id, "--api", api)
    assert watched.returncode == 0, watched.stderr
    assert "COMPLETED" in watched.stdout.splitlines()[-1]
    assert job_id in safelight("jobs", "ls", "--api", api).stdout
    listed = json.loads(safelight("jobs", "ls", "--json", "--limit", "1", "--api", api).stdout)
    assert [job["jobId"] for job in listed] == [job_id]
    assert "beach.jpg" in safelight("jobs", "get", job_id, "--api", api).stdout
    got = json.loads(safelight("jobs", "get", job_id, "--json", "--api", api).stdout)
    assert got["outputs"][0]["contentType"] == "image/jpeg"
    refused = safelight("jobs", "cancel", job_id, "--api", api)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "safelight: The job is COMPLETED and can not be canceled any more.\n"
    other = submit(http, image(), filename="hill.jpg")
    removed = safelight("jobs", "rm", job_id, other, "--api", api)
    assert removed.returncode == 0, removed.stderr
    assert removed.stdout == "".join(f"{each} and all its files are erased.\n" for each in (job_id, other))
    for word in ("get", "watch", "cancel", "retry", "rm"):
        gone = safelight("jobs", word, job_id, "--api", api)
        assert (gone.returncode, gone.stdout) == (1, "")
        why = f"There is no job {job_id} here; `safelight jobs ls` lists those there are."
        assert gone.stderr == f"safelight: {why}\n"
    for word in ("", "../recipes/web"):
        strange = safelight("jobs", "get", word, "--api", api)
        assert (strange.returncode, strange.stdout) == (1, "")
        assert f"{word!r} is no job's id; `safelight jobs ls` lists" in strange.stderr


@pytest.mark.embedded
def test_no_jobs(tmp_path: Path) -> None:
    """An empty list is said in words; for programs it is empty."""
    with Server(tmp_path / "data", "--workers", "1") as server:
        assert safelight("jobs", "ls", "--api", server.url).stdout == "No jobs.\n"
        assert json.loads(safelight("jobs", "ls", "--json", "--api", server.url).stdout) == []


WAITS = "It waits for its file, at the uploadUrl given with it. If that has run out, upload the file anew.\n"


def test_jobs_cancel_and_retry(api: str, http: httpx.Client) -> None:
    """A waiting job says for what, can be canceled and taken up again; watching a canceled one ends with 1."""
    job_id = http.post("/uploads", json={"filename": "a.jpg"}).json()["jobId"]
    assert safelight("jobs", "get", job_id, "--api", api).stderr == WAITS
    assert "CANCELED" in safelight("jobs", "cancel", job_id, "--api", api).stdout
    assert safelight("jobs", "watch", job_id, "--json", "--api", api).returncode == 1
    assert (
        json.loads(safelight("jobs", "retry", job_id, "--json", "--api", api).stdout)["status"] == "PENDING"
    )
    assert safelight("jobs", "retry", job_id, "--api", api).stderr == WAITS
    with subprocess.Popen(
        [*COMMAND, "jobs", "save", job_id, "--api", api], stderr=subprocess.PIPE, text=True, env=environment()
    ) as saving:
        assert saving.stderr is not None
        assert saving.stderr.readline() == f"safelight: job {job_id}: {WAITS}"
        http.post(f"/jobs/{job_id}/cancel").raise_for_status()
        assert saving.wait(30) == 1


@pytest.mark.embedded
def test_render(folder: Path, tmp_path: Path) -> None:
    """The engine alone gives, without a server, what an upload gives; bad files are told in the same words."""
    (folder / "bad.jpg").write_text("not a picture")
    said = safelight("render", folder, "--out", tmp_path / "other").stderr
    assert said.startswith(f"Left out, as no pictures by their names: {folder / 'notes.txt'}.\n")
    done = safelight("render", folder, "--out", tmp_path / "out", "--json")
    assert done.returncode == 1
    assert "Left out" not in done.stderr
    assert saved(tmp_path / "out") == ["beach-main.jpg", "day 2/hill-main.png"]
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result["error"]["code"] for result in results if result["error"]] == ["type_not_allowed"]


@pytest.mark.embedded
def test_render_of_half_a_file(photo: Path, tmp_path: Path) -> None:
    """Nothing was uploaded, so nobody is told to upload it again; from standard input neither."""
    half = tmp_path / "half.jpg"
    half.write_bytes(photo.read_bytes()[:-2000])
    done = safelight("render", half, "--out", tmp_path / "out")
    said = f"{half}: The file ends before the image does, so a part of it is missing. [truncated]"
    assert (done.returncode, done.stderr) == (1, f"safelight: {said}\n")
    with half.open("rb") as file:
        piped = subprocess.run([*COMMAND, "render", "-"], stdin=file, capture_output=True, env=environment())
    assert piped.stderr == b"safelight: The file ends before the image does, so a part of it is missing.\n"


@pytest.mark.embedded
def test_render_saves_where_upload_does(photo: Path, tmp_path: Path) -> None:
    """Without --out the results are in ./safelight-out."""
    assert safelight("render", photo, cwd=tmp_path).returncode == 0
    assert saved(tmp_path / "safelight-out") == ["beach-main.jpg"]


def test_a_mistake_points_at_the_help_of_its_command(photo: Path) -> None:
    """A usage error names the help that tells how it is meant."""
    for words in (["upload", photo, "--nope"], ["jobs", "ls", "--nope"], ["nope"]):
        done = safelight(*words)
        command = " ".join(["safelight", *(str(word) for word in words[:-1] if word != photo)])
        assert done.returncode == 2
        assert f"`{command} --help`" in done.stderr


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["webhooks", "create", "https://a.example"], "safelight webhooks add"),
        (["keys", "add"], "safelight keys create"),
        (["recipe", "delete", "web"], "safelight recipe rm"),
        (["jobs", "download", "x"], "safelight jobs save"),
    ],
)
def test_a_command_that_is_called_otherwise_here(words: list[str], meant: str) -> None:
    """Another word for it is understood well enough to name the right one."""
    done = safelight(*words)
    assert (done.returncode, f"did you mean `{meant}`?" in done.stderr) == (2, True)


@pytest.mark.parametrize("words", [["upload"], ["watch"], ["recipe", "lint"]])
def test_a_file_whose_name_begins_with_a_dash(words: list[str], tmp_path: Path) -> None:
    """Where there is one of that name, it is said how it is given; where there is none, it is an option."""
    absent = safelight(*words, "-dash.jpg", cwd=tmp_path)
    (tmp_path / "-dash.jpg").touch()
    done = safelight(*words, "-dash.jpg", cwd=tmp_path)
    assert (absent.returncode, done.returncode) == (2, 2)
    assert absent.stderr.startswith("safelight: Unknown option: -dash.jpg.")
    assert done.stderr == (
        "safelight: -dash.jpg was taken for an option; give the file as ./-dash.jpg. "
        f"`safelight {' '.join(words)} --help` shows how it is meant.\n"
    )


def test_a_url_is_no_file(tmp_path: Path) -> None:
    """It is called what it is, whole, and nothing is fetched."""
    done = safelight("upload", "https://pictures.example.org/a.jpg", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "safelight: https://pictures.example.org/a.jpg is a URL, and files of this machine are taken; "
        "download it first.\n"
    )


def test_recipes(tmp_path: Path) -> None:
    """Recipes are listed, shown as they are read, checked with the place of a mistake, and described by a schema."""
    assert "default" in safelight("recipe", "ls").stdout
    shown = safelight("recipe", "show", "default").stdout
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    assert re.findall(r"^\w+|^  \w+", shown, re.MULTILINE) == [
        "version",
        "steps",
        "  upright",
        "  mark",
        "outputs",
        "  main",
    ]
    good.write_text(shown)
    assert (
        safelight("recipe", "show", good, "--json").stdout
        == safelight("recipe", "show", "default", "--json").stdout
    )
    assert safelight("recipe", "lint", good).returncode == 0
    bad.write_text("version: 1\noutputs:\n  web: {format: webm}\n")
    done = safelight("recipe", "lint", bad)
    assert (done.returncode, done.stderr) == (1, "")
    [line] = done.stdout.splitlines()
    assert line.startswith(f"wrong  {bad}:3: outputs.web.format: ")
    assert "webm" in line
    told = safelight("recipe", "lint", bad, "--json")
    [mistake] = json.loads(told.stdout)["mistakes"]
    assert (told.returncode, told.stderr, line.endswith(mistake)) == (1, "", True)
    assert json.loads(told.stdout)["lines"] == [3]
    (strict := tmp_path / "comma.json").write_text('{"version": 1, "outputs": {"main": {}},}')
    for words in (
        ("recipe", "lint", strict),
        ("render", good, "--recipe", strict),
        ("recipe", "put", "web", strict),
    ):
        done = safelight(*words)
        assert done.returncode == 1
        assert "The recipe is not JSON: it can not be read in line 1, column " in done.stdout + done.stderr
    done = safelight("recipe", "lint", bad)
    assert json.loads(safelight("recipe", "lint", good, "--json").stdout)["good"] is True
    both = safelight("recipe", "lint", good, bad)
    assert (both.returncode, both.stdout) == (1, safelight("recipe", "lint", good).stdout + done.stdout)
    lines = safelight("recipe", "lint", good, bad, "--json").stdout.splitlines()
    assert [json.loads(each)["good"] for each in lines] == [True, False]
    gone = tmp_path / "gone.yaml"
    told = safelight("recipe", "lint", gone, bad, good)
    assert (told.returncode, told.stderr) == (2, "")
    assert told.stdout.splitlines()[0].startswith(f"wrong  {gone}: There is no such file.")
    assert told.stdout.splitlines()[1:] == [line, *safelight("recipe", "lint", good).stdout.splitlines()]
    told = safelight("recipe", "lint", gone, tmp_path, good, "--json")
    told_of = [json.loads(each) for each in told.stdout.splitlines()]
    assert (told.returncode, told.stderr) == (2, "")
    assert [each["file"] for each in told_of] == [str(gone), str(tmp_path), str(good)]
    assert [(each["good"], len(each["mistakes"])) for each in told_of] == [(False, 1), (False, 1), (True, 0)]
    done = safelight("render", good, "--recipe", bad)
    assert (done.returncode, f"{bad}: outputs.web.format" in done.stderr) == (1, True)
    assert json.loads(safelight("recipe", "schema").stdout)["$schema"].endswith("2020-12/schema")


def test_the_order_in_which_a_recipe_is_shown(api: str, tmp_path: Path) -> None:
    """A file as it was written; what a server keeps, and JSON, by its names. The primary output stays what it was."""
    (tmp_path / "two.yaml").write_text(
        "version: 1\noutputs:\n  web: {format: webp}\n  main: {format: jpeg}\n"
    )
    safelight("recipe", "put", "two", "two.yaml", "--api", api, cwd=tmp_path)
    as_json = json.loads(safelight("recipe", "show", "two.yaml", "--json", cwd=tmp_path).stdout)
    assert list(as_json["outputs"]) == ["main", "web"]
    for words, names in ((["two.yaml"], ["web", "main"]), (["two", "--api", api], ["main", "web"])):
        shown = yaml.safe_load(safelight("recipe", "show", *words, cwd=tmp_path).stdout)
        assert list(shown["outputs"]) == names
        assert [name for name, output in shown["outputs"].items() if output["primary"]] == ["web"]
    safelight("recipe", "rm", "two", "--api", api)


def test_one_operation() -> None:
    """It is shown with its parameters, and described to programs; a name that is none is taken for one it may mean."""
    shown = safelight("recipe", "ops", "resize").stdout
    assert shown.startswith("Resize the picture")
    assert re.search(r"^fit +inside +contain, cover, fill, inside or outside$", shown, re.MULTILINE)
    assert "sigma" in json.loads(safelight("recipe", "ops", "blur", "--json").stdout)["properties"]
    unknown = safelight("recipe", "ops", "resise")
    assert (unknown.returncode, "did you mean resize?" in unknown.stderr) == (2, True)


def test_a_name_of_ones_own(api: str, tmp_path: Path) -> None:
    """A recipe is given a name at a server, is listed with it, and loses it again; scripts are told in JSON."""
    file = tmp_path / "small.yaml"
    file.write_text("version: 1\nsteps:\n  small: {op: resize, width: 64}\noutputs:\n  main: {use: small}\n")
    made = json.loads(safelight("recipe", "put", "small-ones", file, "--api", api, "--json").stdout)
    assert made["name"] == "small-ones"
    assert re.fullmatch("[0-9a-f]{64}", made["digest"])
    listed = json.loads(safelight("recipe", "ls", "--api", api, "--json").stdout)
    assert [each["own"] for each in listed if each["name"] == "small-ones"] == [True]
    assert "width: 64" in safelight("recipe", "show", "small-ones", settings={"api": api}).stdout
    wrong = safelight("recipe", "show", "smal-ones", "--api", api)
    assert (wrong.returncode, "default, small-ones" in wrong.stderr) == (2, True)
    gone = safelight("recipe", "rm", "small-ones", "--api", api, "--json")
    assert json.loads(gone.stdout) == {"name": "small-ones", "deleted": True}
    assert safelight("recipe", "rm", "small-ones", "--api", api).stdout == "small-ones is removed.\n"
    for words in (("show", "small-ones"), ("show", "small-ones", "--json")):
        here = safelight("recipe", *words)
        assert (here.returncode, "`recipe show NAME --api URL`" in here.stderr) == (2, True)


def test_settings() -> None:
    """Every setting is listed with its meaning, and with what is set now."""
    done = safelight("settings", "--json", settings={"max_bytes": "5MB"})
    listed = {setting["variable"]: setting for setting in json.loads(done.stdout)}
    assert listed["SAFELIGHT_MAX_BYTES"]["now"] == "5000000"
    assert listed["SAFELIGHT_MAX_BYTES"]["default"] == "100000000"
    assert all(len(setting["meaning"]) > 10 for setting in listed.values())
    assert "SAFELIGHT_DATA=safelight-data" in safelight("settings").stdout


@pytest.mark.parametrize(
    "words", [["jobs", "ls"], ["upload", "photo.jpg"], ["jobs", "watch", "x"], ["jobs", "save", "x"]]
)
def test_nobody_answers(words: list[str], tmp_path: Path) -> None:
    """Where no server is, every command says so in one line, at once."""
    (tmp_path / "photo.jpg").write_bytes(image())
    done = safelight(*words, "--api", NOBODY, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"safelight: No Safelight answers at {NOBODY}; start one with `safelight serve`.\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nonsense"], 2),
        (["upload"], 2),
        (["jobs", "ls", "--limit", "many"], 2),
        (["serve", "--port", "70000"], 2),
        (["upload", f"-{'n' * 5000}"], 2),
        (["jobs", "ls", "--api", "127.0.0.1"], 3),
        (["demo", "no-such-photo.jpg"], 2),
    ],
)
def test_mistakes(words: list[str], code: int, tmp_path: Path) -> None:
    """A command that is not understood is one line on standard error, and nothing on standard output."""
    done = safelight(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (code, "", 1)
    assert done.stderr.startswith("safelight: ")


def test_the_door_opens_quickly() -> None:
    """Help and version load nothing heavy."""
    heavy = {"litestar", "uvicorn", "pyvips", "PIL", "httpx", "apsw", "yaml", "msgspec"}
    script = (
        "import sys; from safelight.entrypoints.cli import run; run(['--help']); run(['upload', '--help']); "
        "print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [COMMAND[0], "-c", script], capture_output=True, text=True, env=environment(), timeout=20
    )
    assert done.returncode == 0
    assert "Usage: safelight upload" in done.stdout
    assert [name for name in heavy if f"'{name}'" in done.stderr] == []


def test_a_python_runs_it_by_its_name() -> None:
    """`python -m safelight` is the command: its words, its help, its exit codes."""
    command = [COMMAND[0], "-m", "safelight"]
    done = subprocess.run([*command, "upload", "--help"], capture_output=True, text=True, env=environment())
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: safelight upload" in done.stdout
    done = subprocess.run([*command, "uplaod"], capture_output=True, text=True, env=environment())
    assert (done.returncode, done.stderr.startswith("safelight: ")) == (2, True)


def test_ctrl_c_while_waiting(api: str, http: httpx.Client) -> None:
    """Ctrl-C ends a waiting command at once: 130, one line, no traceback."""
    job_id = http.post("/uploads", json={"filename": "a.jpg"}).json()["jobId"]
    command = [*COMMAND, "jobs", "watch", job_id, "--api", api]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout is not None
        assert "PENDING" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=10)
    assert (process.returncode, said) == (130, f"{WAITS}safelight: Interrupted.\n")


def on_a_terminal(*words: str, **settings: str) -> tuple[int, bytes]:
    """Run one command on a terminal; its exit code, and what stands there."""
    master, slave = pty.openpty()
    environ = environment(**settings) | {"TERM": "xterm-256color", "COLUMNS": "200"}
    with subprocess.Popen(
        [*COMMAND, *words], stdin=slave, stdout=slave, stderr=slave, env=environ
    ) as process:
        os.close(slave)
        shown = b""

        def all_of_it() -> bool:
            nonlocal shown
            if select.select([master], [], [], 0.1)[0]:
                try:
                    shown += os.read(master, 65536)
                except OSError:  # the other side is closed
                    return True
            return False

        until(all_of_it)
    os.close(master)
    return process.returncode, shown


def test_on_a_terminal(api: str, photo: Path, tmp_path: Path) -> None:
    """On a terminal there are bars while it works, and the result stands there at the end."""
    code, shown = on_a_terminal("upload", str(photo), "--out", str(tmp_path / "out"), "--api", api)
    assert code == 0, shown
    assert b"Uploading" in shown
    assert b"beach-main.jpg" in shown


def test_whose_recipes_they_are() -> None:
    """A list of this machine's recipes tells a person where those of a server are."""
    _, shown = on_a_terminal("recipe", "ls")
    assert b"`safelight recipe ls --api URL` lists those of a server." in shown
    assert b"--api" not in on_a_terminal("recipe", "ls", "--json")[1]
    assert safelight("recipe", "ls").stderr == ""
