"""The journeys of every Safelight, on the real stack."""

import os
import subprocess
import sys

import pytest
from tests.support.stack import Stack

NOT_HERE = {
    "tests/journeys/test_events.py::test_events_until_the_end": "an answer ends here, and the client asks again",
    "tests/journeys/test_signed_urls.py::test_downloads_are_not_for_browsers_to_guess": "S3 sends no nosniff",
}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_client_can_not_tell_the_difference(deployed_stack: Stack) -> None:
    """Every journey that is not about one machine passes on the stack as it does anywhere."""
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "pytest",
                "tests/journeys",
                "-q",
                "-p",
                "no:cacheprovider",
                "--timeout=120",
            ),
            *(f"--deselect={name}" for name in NOT_HERE),
        ],
        env=os.environ | {"SAFELIGHT_TEST_API": deployed_stack.api},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
