"""Broken files by the hundred, through the real server: each ends in a code or a picture, and nothing else happens.

SAFELIGHT_TEST_MUTANTS says how many; `make hostile` sends 4,000.
"""

import time
from collections import Counter
from itertools import islice

import pytest
from tests.hostile.conftest import EVERY, Besieged, mutants_wanted, tell
from tests.hostile.mutants import mutants, seeds
from tests.hostile.verdicts import CODES, NOT_PROVED

FORMATS = EVERY
pytestmark = pytest.mark.timeout(3600)


def test_whole_files_are_drawn(besieged: Besieged) -> None:
    """Every file that the mutants are made from is a good one."""
    jobs = besieged.attack(seeds())
    assert {name: job["error"] for name, job in jobs.items() if job["status"] != "COMPLETED"} == {}


def test_mutants_cost_one_job_each(besieged: Besieged) -> None:
    """Every job is terminal; no worker died, no child went beyond its limits, the API answered throughout."""
    began, count = time.monotonic(), mutants_wanted()
    ends: Counter[str] = Counter()
    odd = {}
    coming = mutants(count)
    while some := dict(islice(coming, 100)):
        for name, job in besieged.attack(some).items():
            end = job["error"]["code"] if job["status"] == "FAILED" else job["status"]
            ends[end] += 1
            if end not in CODES | {"COMPLETED"}:
                odd[name] = end
    tell(besieged, count, began, f"{dict(ends.most_common())} {odd or ''}")
    assert ends.total() == count
    assert set(ends) <= CODES | NOT_PROVED | {"COMPLETED"}
    assert len(odd) <= max(2, count // 200)
    besieged.check()
