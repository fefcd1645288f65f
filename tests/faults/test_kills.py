"""`kill -9` at random instants, of whatever process, while real clients upload through HTTP."""

import logging
from pathlib import Path

import pytest
from tests.faults.killing import Siege

log = logging.getLogger(__name__)


@pytest.mark.timeout(180)
def test_random_kills_lose_nothing(tmp_path: Path) -> None:
    """A short siege, the same every time as far as chance allows; `make kills` runs the long one."""
    siege = Siege(tmp_path, jobs=60, kills=16, seed=7, pause=(0.1, 0.5))
    siege.run()
    assert siege.check() == []
    assert siege.killed >= 16
    assert len(siege.told.uploaded) >= 60


@pytest.mark.timeout(3000)
def test_300_kills_over_1000_jobs_lose_nothing(thorough: bool, tmp_path: Path) -> None:
    """The long siege."""
    if not thorough:
        pytest.skip("takes about ten minutes: `make kills` runs it")
    siege = Siege(tmp_path, jobs=1000, kills=310, seed=20, pause=(0.1, 0.5))
    siege.run()
    found = siege.check()
    log.warning(siege)
    assert found == []
    assert siege.killed >= 300
    assert len(siege.told.uploaded) >= 1000
