"""The AWS side on the emulator, beside the usual serverless way: writes RESULTS-aws.md (`make bench-aws`).

The peer (`plain/`) does the same with four plain functions: boto3 made at import, Pillow in the worker's own process,
no conditions on any write, no claim, no sandbox. Each system gets an emulator of its own, started for it; they take
turns, and what is slow in the emulator is slow for both. Before that, the size of the functions' zip, and what the
start of each function costs beside boto3 with the clients that it uses.
"""

import io
import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import httpx
from measuring import machine, median, percentile, table
from tests.support import cold_start, servers
from tests.support.stack import ARCHITECTURE, Emulated, deployed, runtime

from safelight.entrypoints.deploy import artifact
from safelight.imaging.sample import photo

HEALED_WITHIN: Final = 900.0
"""Seconds after which the sweeper has found what lost its event or its message."""

ROUNDS: Final = 2  # more than one: what else the machine does would meet one system only
WORKERS: Final = 5
"""Workers at the same time, of both systems. Fifty, as by default, are for a cloud and not for these few cores."""

CALLS: Final = 100
JOBS: Final = 60
BURST: Final = 200
CLIENTS: Final = 16
PLAIN: Final = Path(__file__).with_name("plain")

HEAD = """# The AWS side, on an emulator

Measured by `make bench-aws` on {machine}.

No cloud is in these figures. The emulator (ministack {version}) is one Python process that plays every service, and
runs each execution environment of a function as a process of its own on the same cores; a new environment unpacks the
whole zip. It polls streams beside queues here, four times a second, as Lambda does (`tests/support/servers.py`); left
to itself it hands out no message while a stream's function runs. What counts are the ratios to the peer: the usual
serverless way (`benchmarks/plain/`: four functions, boto3 at import, Pillow in the worker itself, unconditional writes,
no sandbox), deployed on the same emulator in the same run.
"""

STARTS: Final = """## The functions

Their zips (Lambda takes 250 MB unpacked), {target}:

{zips}

What a start costs, in seconds of CPU of a new process, the least of {rounds}: the function's module with its clients,
log and metrics, against boto3 with the same clients.
"""

CALLED: Final = """## The way of an upload
"""

Figures = dict[str, list[float]]


class Running:
    """A deployed system, as its clients see it."""

    def __init__(self, account: Emulated, api: str, jobs: str) -> None:
        self._db = account.client("dynamodb")
        self._table = jobs
        self.api = api

    def completed(self, job_id: str) -> bool:
        """Whether the table says so. Asking the API would cost a function call each time."""
        item = self._db.get_item(TableName=self._table, Key={"jobId": {"S": job_id}}, ConsistentRead=True)
        status: str = item["Item"]["status"]["S"]
        if status not in ("PENDING", "PROCESSING", "COMPLETED"):
            raise RuntimeError(item)
        return status == "COMPLETED"


@contextmanager
def ours(**environ: str) -> Iterator[Running]:
    """Safelight, by its own command. `environ` is set for its functions."""
    with servers.emulator(**environ) as endpoint:
        account = Emulated(endpoint)
        with deployed(account, MaxWorkers=str(WORKERS)) as stack:
            yield Running(account, stack.api, stack.outputs["JobsTableName"])


@contextmanager
def plain() -> Iterator[Running]:
    """The peer."""
    with servers.emulator() as endpoint:
        account = Emulated(endpoint)
        s3, formation = account.client("s3"), account.client("cloudformation")
        s3.create_bucket(
            Bucket="plain-artifacts", CreateBucketConfiguration={"LocationConstraint": servers.REGION}
        )
        s3.put_object(Bucket="plain-artifacts", Key="plain.zip", Body=_plain_zip())
        given = {
            "ArtifactBucket": "plain-artifacts",
            "ArtifactKey": "plain.zip",
            "Runtime": runtime(),
            "Architecture": ARCHITECTURE,
        }
        formation.create_stack(
            StackName="plain",
            TemplateBody=(PLAIN / "template.yaml").read_text(),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        formation.get_waiter("stack_create_complete").wait(
            StackName="plain", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        outputs = {
            each["OutputKey"]: each["OutputValue"]
            for each in formation.describe_stacks(StackName="plain")["Stacks"][0]["Outputs"]
        }
        # `safelight deploy` starts each function once; so are these, lest that be the difference.
        starts = {"create": {}, "show": {"pathParameters": {"jobId": "-"}}, "dispatch": {"Records": []}}
        for function, event in (*starts.items(), ("work", {"Records": []})):
            account.client("lambda").invoke(
                FunctionName=f"plain-{function}", Payload=json.dumps(event).encode()
            )
        yield Running(account, f"{endpoint}/_aws/execute-api/{outputs['ApiId']}", outputs["JobsTableName"])


def _plain_zip() -> bytes:
    """The peer's functions and the same Pillow that Safelight uses."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in PLAIN.glob("*.py"):
            archive.write(path, path.name)
        pillow = metadata.distribution("pillow")
        for each in pillow.files or ():
            if each.suffix != ".pyc" and not str(each).startswith(".."):
                archive.write(str(pillow.locate_file(each)), str(each))
    return file.getvalue()


def upload(http: httpx.Client, body: bytes) -> tuple[str, float, float]:
    """One upload. Return the job's id, what POST took, and when PUT began."""
    start = time.perf_counter()
    # Like any good client: while the emulator unpacks a hundred environments, some calls are answered 502 or 503.
    while (answer := http.post("/uploads", json={"filename": "photo.jpg"})).status_code in (502, 503):
        time.sleep(1)
    grant = answer.raise_for_status().json()
    posted = time.perf_counter()
    http.put(grant["uploadUrl"], content=body, headers={"Content-Type": "image/jpeg"}).raise_for_status()
    return grant["jobId"], posted - start, posted


def client(system: Running) -> httpx.Client:
    """A client of it."""
    return httpx.Client(base_url=system.api, timeout=120, trust_env=False)


def burst(system: Running, body: bytes) -> float:
    """Seconds from the first POST until all of the pictures are COMPLETED, uploaded by several clients at once."""

    def one(count: int) -> list[str]:
        with client(system) as http:
            return [upload(http, body)[0] for _ in range(count)]

    share = [BURST // CLIENTS + (n < BURST % CLIENTS) for n in range(CLIENTS)]
    start = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        waiting = [job_id for ids in pool.map(one, share) for job_id in ids]
    while waiting:
        if system.completed(waiting[-1]):
            waiting.pop()
        elif time.perf_counter() - start > HEALED_WITHIN:
            raise RuntimeError(f"{len(waiting)} jobs have not ended")
        else:
            time.sleep(0.02)
    return time.perf_counter() - start


def measure(system: Running, body: bytes, figures: Figures) -> None:
    """All figures of a system that was deployed just now, in this order: the first burst meets no warm function."""

    def note(name: str, seconds: float) -> None:
        figures.setdefault(name, []).append(seconds)

    note("burst, fresh", burst(system, body))
    with client(system) as http:
        for _ in range(JOBS):
            job_id, _, began = upload(http, body)
            while not system.completed(job_id):
                time.sleep(0.005)
            note("PUT → COMPLETED", time.perf_counter() - began)
        for _ in range(CALLS):
            start = time.perf_counter()
            http.post("/uploads", json={"filename": "photo.jpg"}).raise_for_status()
            middle = time.perf_counter()
            http.get(f"/jobs/{job_id}").raise_for_status()
            note("POST /uploads", middle - start)
            note("GET /jobs/{id}", time.perf_counter() - middle)
    note("burst, warm", burst(system, body))


def starts() -> str:
    """What the zip takes, and what each function costs until its first call."""
    rounds, rows = 7, []
    with cold_start.unpacked() as folder:
        for function in cold_start.CLIENTS:
            cost = cold_start.cost(function, folder, rounds=rounds)
            goal = cold_start.GOALS.get(function)
            own, clients = f"{cost.own:.2f}", f"{cost.clients:.2f}"
            rows.append([function, own, clients, f"{cost.ratio:.2f}", f"≤ {goal}" if goal else ""])
    zips = []
    for part, built in artifact.build_all(cold_start.HERE).items():
        with zipfile.ZipFile(built.path) as archive:
            files = len(archive.namelist())
        zips.append(
            [part, f"{built.path.stat().st_size / 1e6:.1f} MB", f"{built.unpacked / 1e6:.1f} MB", str(files)]
        )
    listed = table(["zip", "size", "unpacked", "files"], zips)
    head = STARTS.format(zips=listed, rounds=rounds, target=" on ".join(cold_start.HERE))
    return f"{head}\n{table(['function', 'start', 'its clients', 'ratio', 'goal'], rows)}\n"


def report(figures: dict[str, Figures], rounds: int) -> str:
    """The tables."""
    rows: list[list[str]] = []
    for what in ("POST /uploads", "GET /jobs/{id}", "PUT → COMPLETED"):
        for share, name in ((0.5, "p50"), (0.95, "p95")):
            own, peer = (percentile(figures[who][what], share) * 1e3 for who in ("Safelight", "plain"))
            rows.append([f"{what}, {name}", f"{own:.0f} ms", f"{peer:.0f} ms", f"{own / peer:.2f}"])
    for what in ("burst, fresh", "burst, warm"):
        own, peer = (median(figures[who][what]) for who in ("Safelight", "plain"))
        title = f"{BURST} pictures, {CLIENTS} clients, {what.removeprefix('burst, ')}"
        rows.append([title, f"{own:.1f} s", f"{peer:.1f} s", f"{own / peer:.2f}"])
    return (
        f"{table(['', 'Safelight', 'plain', 'ratio'], rows)}\n\n"
        f"{rounds} round{'s' * (rounds > 1)} in turns: {CALLS} calls each, {JOBS} jobs one after the other, 2 MP "
        "photos. Calls and jobs "
        "are warm. A job is timed from the first byte of the PUT to the table's COMPLETED, looked at every 5 ms; the "
        "pictures of a burst from the first POST to the last COMPLETED. Fresh is right after the deployment. "
        "`safelight deploy` has started each function once by then, as a check; every other environment is new. The "
        f"peer's are called once, too.{behind(rows)}\n"
    )


def behind(rows: list[list[str]]) -> str:
    """Where the peer is faster, and why; nothing where it never is."""
    slower = [title for title, *_, ratio in rows if float(ratio) > 1.0]
    if not slower:
        return ""
    return (
        f"\n\nBehind: {'; '.join(slower)}. A job of Safelight's is written four times, each time under a condition on "
        "what was read before, where the peer writes three times and looks at nothing; and its end is counted, and "
        "told to a topic. Each call takes the emulator about 3 ms of a core."
    )


def main() -> None:
    """Measure both in turns, print, and write the report. The one argument says in how many rounds."""
    rounds = int(sys.argv[1]) if sys.argv[1:] else ROUNDS
    parts = [starts()]
    print(parts[0], file=sys.stderr, flush=True)
    body = photo(1632, 1224)
    figures: dict[str, Figures] = {"Safelight": {}, "plain": {}}
    systems: dict[str, Callable[[], Any]] = {"Safelight": ours, "plain": plain}
    for _ in range(rounds):
        for who, system in systems.items():
            with system() as running:
                measure(running, body, figures[who])
            brief = {name: f"{median(values):.3f}" for name, values in figures[who].items()}
            print(who, brief, file=sys.stderr, flush=True)
    said = subprocess.run(
        [
            servers.HOME / "bin" / "python",
            "-c",
            "import importlib.metadata as m; print(m.version('ministack'))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    parts = [
        HEAD.format(machine=machine(), version=said.stdout.strip()),
        *parts,
        CALLED,
        report(figures, rounds),
    ]
    text = "\n".join(parts)
    print(text)
    Path(__file__).with_name("RESULTS-aws.md").write_text(text)


if __name__ == "__main__":
    main()
