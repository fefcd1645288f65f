"""The planted mutants still fit the code; `make faults` runs the test that has to catch each."""

from pathlib import Path

import pytest
from tests.faults.mutants import MUTANTS, ROOT, Mutant, plant, verdict


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_can_be_planted(mutant: Mutant, tmp_path: Path) -> None:
    """Each text it replaces is there exactly once, what comes out compiles, and the test that catches it exists."""
    plant(mutant, tmp_path)
    file, _, test = mutant.caught_by.partition("::")
    assert f"def {test.partition('[')[0]}(" in (ROOT / "tests/faults" / file).read_text()


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        (1, "1 failed, 2 passed in 1.0s", "caught"),
        (0, "3 passed in 1.0s", "SURVIVED"),
        (1, "1 error in 1.0s", "NOT RUN"),
        (1, "1 failed, 1 error in 1.0s", "NOT RUN"),
        (5, "no tests ran in 0.1s", "NOT RUN"),
        (4, "", "NOT RUN"),
    ],
)
def test_only_a_failed_test_catches_a_mutant(code: int, said: str, expected: str) -> None:
    """One that breaks before it can look, or that does not exist, catches nothing."""
    assert verdict(code, said) == expected
