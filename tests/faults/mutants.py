"""Is the suite strong enough? Each mutant is Safelight with one promise broken, and a test that has to notice.

    python -m tests.faults.mutants          runs every mutant's test and prints a table: `make faults`

A mutant is a copy of the sources in which a text that must be there exactly once was replaced. It fails to apply when
the code has moved on, which `test_mutants.py` notices in every run of the suite.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = ROOT / "src" / "safelight"
EXPECTED: Final = "SAFELIGHT_TEST_SOURCES"
"""Where the sources under test have to come from; `conftest.py` makes sure of it."""


class Edit(NamedTuple):
    """One replaced text."""

    path: str
    old: str
    new: str


class Mutant(NamedTuple):
    """One broken promise."""

    name: str
    means: str
    caught_by: str
    edits: tuple[Edit, ...]


CRASH = "test_crashes.py::test_a_crash_at_any_point_loses_nothing"
WRITING, MODEL, SERVICE = "backends/embedded/writing.py", "model.py", "service.py"
HERE = (
    "            with self._database.writing(durable=after.state is not JobState.PROCESSING) as write:\n"
    "                stored = self._replace(write, before, after)\n"
)

MUTANTS: Final = (
    Mutant(
        "completed before publish",
        "a job is COMPLETED, and then its outputs are stored",
        f"{CRASH}[job.completed]",
        (
            Edit(
                SERVICE,
                "        self.ports.blobs.put(key, rendered.file, content_type=rendered.content_type)\n",
                '        self.__dict__.setdefault("later", []).append((key, rendered.file.read()))\n',
            ),
            Edit(
                SERVICE,
                '        faults.reached("job.completed")\n',
                '        faults.reached("job.completed")\n'
                "        import io\n"
                '        for key, content in self.__dict__.pop("later"):\n'
                '            self.ports.blobs.put(key, io.BytesIO(content), content_type="")\n',
            ),
        ),
    ),
    Mutant(
        "write in place",
        "an output is written under its final name",
        f"{CRASH}[file.created]",
        (
            Edit(
                WRITING,
                "        super().__init__(place.temporary_name(key))\n",
                "        final = place.root / key\n"
                "        if written_once := key.startswith(keys.PROCESSED):\n"
                "            final.parent.mkdir(parents=True, exist_ok=True)\n"
                "        super().__init__(final if written_once else place.temporary_name(key))\n",
            ),
            Edit(
                WRITING,
                "                os.link(self.path, name, dst_dir_fd=folder)\n",
                "                return keys.ONLY_VERSION\n",
            ),
        ),
    ),
    Mutant(
        "no lease",
        "a job that somebody works on can be claimed",
        "test_fencing.py::test_a_live_claim_is_not_taken",
        (
            Edit(
                MODEL,
                "return self.claim.until <= now if self.claim else self.retry_at <= now",
                "return True",
            ),
        ),
    ),
    Mutant(
        "a lease without end",
        "the claim of a dead worker holds for ever",
        "test_fencing.py::test_a_dead_workers_claim_runs_out",
        (
            Edit(
                MODEL,
                "return self.claim.until <= now if self.claim else self.retry_at <= now",
                "return self.claim is None and self.retry_at <= now",
            ),
        ),
    ),
    Mutant(
        "no fence",
        "a worker whose claim is over may write as if it held it",
        "test_fencing.py::test_a_worker_that_outlives_its_claim_changes_nothing[job.stored]",
        (
            Edit(
                MODEL,
                "        if self.claim is None or not self.held_by(token):\n            raise ClaimLost\n"
                "        return self.claim\n",
                '        return self.claim or Claim(token=token, worker="", until=0.0)\n',
            ),
        ),
    ),
    Mutant(
        "a fence that looks at the state alone",
        "any worker may write while the job is PROCESSING",
        "test_fencing.py::test_the_older_of_two_attempts_loses",
        (
            Edit(
                MODEL,
                "self.state is JobState.PROCESSING and self.claim is not None and self.claim.token == token",
                "self.state is JobState.PROCESSING and self.claim is not None",
            ),
        ),
    ),
    Mutant(
        "no fsync of the file",
        "a file gets its name before its content is on the disk",
        "test_durability.py::test_a_file_is_durable_before_it_has_its_name",
        (
            Edit(
                WRITING,
                "            os.utime(self._descriptor, (now, now))\n            os.fsync(self._descriptor)\n",
                "            os.utime(self._descriptor, (now, now))\n",
            ),
        ),
    ),
    Mutant(
        "no fsync of the folder",
        "a commit names a file whose name is not on the disk",
        "test_durability.py::test_the_store_names_only_what_is_durable",
        (Edit(WRITING, "                    os.fsync(descriptor)\n", ""),),
    ),
    Mutant(
        "no fsync of the store",
        "clients are answered before the commit is on the disk",
        "test_durability.py::test_nothing_that_was_answered_can_be_forgotten",
        (Edit("backends/embedded/database.py", '"FULL" if durable else "NORMAL"', '"NORMAL"'),),
    ),
    Mutant(
        "ack before work",
        "a message is acknowledged before its job has ended",
        "test_crashes.py::test_a_crash_in_a_worker_does_not_wait_for_the_sweeper",
        (
            Edit(
                "entrypoints/worker.py",
                "    delay = service.process(delivery.wake, worker)\n",
                "    inbox.ack(delivery)\n    delay = service.process(delivery.wake, worker)\n",
            ),
        ),
    ),
    Mutant(
        "retry of a bad file",
        "a file that is proven bad is tried again",
        "test_crashes.py::test_a_bad_file_is_tried_once",
        (Edit(SERVICE, "except (FileError, SourceGone) as error:", "except SourceGone as error:"),),
    ),
    Mutant(
        "a sweep that forgets uploads",
        "an upload whose event was lost is found and not dispatched",
        "test_crashes.py::test_an_upload_whose_event_was_lost_is_found",
        (
            Edit(
                "sweeper.py",
                "        if found is not None:\n"
                "            self._service.dispatch(found.key, found.version, found.bytes)\n",
                "        if found is not None:\n",
            ),
        ),
    ),
    Mutant(
        "a sweep that forgets messages",
        "a job whose message was lost is looked at and not woken",
        "test_crashes.py::test_a_message_that_was_lost_is_sent_again",
        (Edit("sweeper.py", "        self._service.wake(job)\n", ""),),
    ),
    Mutant(
        "a sweep that forgets losers",
        "what a killed attempt stored stays for a month",
        f"{CRASH}[job.stored]",
        (Edit("sweeper.py", "            self._ports.blobs.delete(key)\n", "            pass\n"),),
    ),
    Mutant(
        "notice outside the write",
        "a job ends, and then its notice is stored",
        "test_crashes.py::test_the_end_of_a_job_and_its_notice_are_one_write",
        (
            Edit(
                "backends/embedded/jobs.py",
                HERE,
                HERE + "            if stored and (notice := notice_of(before, after)):\n"
                "                with self._database.writing() as write:\n"
                "                    write.run(\n"
                '                        "INSERT INTO notices (id, due_at, document) VALUES (?, ?, ?)",\n'
                "                        (notice.id, notice.at, _encode(notice)),\n"
                "                    )\n",
            ),
            Edit(
                "backends/embedded/jobs.py",
                "        if notice := notice_of(before, after):\n",
                "        if (notice := notice_of(before, after)) and not before:\n",
            ),
        ),
    ),
    Mutant(
        "attempts that do not count",
        "a job that kills its workers goes on killing them",
        "test_crashes.py::test_a_job_that_kills_every_worker_ends",
        (
            Edit(
                MODEL,
                "            attempt=self.attempt + 1,\n",
                "            attempt=max(self.attempt, 1),\n",
            ),
        ),
    ),
)


def plant(mutant: Mutant, folder: Path) -> None:
    """Put a copy of the sources with the mutant in it below `folder`. Raise ValueError if it does not fit."""
    shutil.copytree(SOURCES, folder / "safelight", ignore=shutil.ignore_patterns("__pycache__"))
    for path, old, new in mutant.edits:
        file = folder / "safelight" / path
        text = file.read_text()
        if text.count(old) != 1:
            raise ValueError(f"{mutant.name}: {path} holds {old!r} {text.count(old)} times, not once")
        file.write_text(text.replace(old, new))
        compile(file.read_text(), str(file), "exec")


def run(sources: Path, tests: list[str]) -> tuple[int, str]:
    """Run these tests on these sources: pytest's exit code, and what it said."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    paths = [f"tests/faults/{test}" for test in tests]
    environ = os.environ | {
        "PYTHONPATH": str(sources),
        EXPECTED: str(sources),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [*command, *paths], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def verdict(code: int, said: str) -> str:
    """What became of a mutant."""
    failed = re.search(r"^(\d+) failed", said.strip().splitlines()[-1]) if said.strip() else None
    if code == 1 and failed and " error" not in said.splitlines()[-1]:
        return "caught"
    return "SURVIVED" if code == 0 else "NOT RUN"


def main() -> int:
    """Run all, print the table; 1 if one survived, or if a test fails without any mutant."""
    tests = list(dict.fromkeys(mutant.caught_by for mutant in MUTANTS))
    code, said = run(SOURCES.parent, tests)
    if code != 0:
        sys.stdout.write(f"{said}\nThese tests have to pass on the unchanged sources first.\n")
        return 1
    sys.stdout.write("| mutant | what is broken | test | | s |\n|---|---|---|---|---|\n")
    survived = 0
    for mutant in MUTANTS:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
            plant(mutant, Path(folder))
            result = verdict(*run(Path(folder), [mutant.caught_by]))
        survived += result != "caught"
        took = time.monotonic() - begun
        sys.stdout.write(
            f"| {mutant.name} | {mutant.means} | `{mutant.caught_by}` | {result} | {took:.1f} |\n"
        )
        sys.stdout.flush()
    sys.stdout.write(f"\n{len(MUTANTS) - survived} of {len(MUTANTS)} mutants caught.\n")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
