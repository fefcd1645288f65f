"""Pictures that broke the libraries of others cost one job each."""

import os
import time
from collections import Counter

import pytest
from tests.hostile import public
from tests.hostile.conftest import EVERY, Besieged, tell
from tests.hostile.parts import read_back
from tests.hostile.verdicts import CODES, NOT_PROVED

FORMATS = EVERY


@pytest.mark.timeout(1800)
@pytest.mark.skipif(
    "SAFELIGHT_TEST_MUTANTS" not in os.environ, reason="`make hostile` fetches and sends them"
)
def test_public_files_cost_one_job_each(besieged: Besieged) -> None:
    """Each ends COMPLETED with a picture that can be read, or FAILED with a code that names a fault of the file; and
    nothing else comes to harm."""
    try:
        files = public.files()
    except public.Absent as absent:
        pytest.skip(str(absent))
    began = time.monotonic()
    jobs = besieged.attack(files)
    ends = Counter(
        job["error"]["code"] if job["status"] == "FAILED" else job["status"] for job in jobs.values()
    )
    tell(besieged, len(files), began, ", ".join(f"{count} {end}" for end, count in ends.most_common()))
    besieged.check()
    assert len(files) > 1000
    assert ends.keys() <= CODES | NOT_PROVED | {"COMPLETED"}
    assert sum(ends[code] for code in NOT_PROVED) <= len(files) // 200
    for name, job in jobs.items():
        if job["status"] == "COMPLETED":
            picture = read_back(besieged.http.get(job["downloadUrl"]).raise_for_status().content)
            assert picture.size == (job["outputs"][0]["width"], job["outputs"][0]["height"]), name
