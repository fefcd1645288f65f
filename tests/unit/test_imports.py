"""The core stays light: what is imported with it, and what is not."""

import subprocess
import sys

import pytest

HEAVY = ("litestar", "boto3", "botocore", "pyvips", "PIL", "apsw", "httpx", "uvicorn", "hypothesis")


@pytest.mark.parametrize(
    "module", ["service", "sweeper", "recipes", "operations", "idempotency", "ports", "testing"]
)
def test_the_core_loads_nothing_heavy(module: str) -> None:
    """Importing a module of the core loads no web framework, no vendor's library and no codec."""
    script = f"import sys, safelight.{module}; print(*sorted({set(HEAVY)!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


def test_the_supervisor_loads_what_it_needs() -> None:
    """Whoever starts Safelight waits for its imports before anything else begins."""
    script = (
        "import sys, safelight.entrypoints.server\n"
        "print(*sorted({'litestar', 'uvicorn', 'httpx', 'pyvips', 'PIL', 'boto3', 'botocore'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("\n", "")


def test_importing_the_api_makes_no_application() -> None:
    """The application is made by calling the factory; importing it starts nothing and loads no codec."""
    script = (
        "import sys, threading, safelight.entrypoints.api as api\n"
        "from litestar import Litestar\n"
        "made = [name for module in list(sys.modules.values()) if module.__name__.startswith('safelight')\n"
        "        for name, thing in vars(module).items() if isinstance(thing, Litestar)]\n"
        "print(made, threading.active_count(), {'boto3', 'pyvips', 'PIL', 'faker', 'polyfactory'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.stdout.strip() == "[] 1 set()", result.stderr


def test_the_client_is_at_the_top_and_comes_alone() -> None:
    """`safelight.Client` is loaded when it is asked for, and nothing of the server with it."""
    script = (
        "import sys, safelight\n"
        "assert 'httpx' not in sys.modules\n"
        "import safelight.client\n"
        "assert not {'yaml', 'safelight.recipes'} & set(sys.modules)\n"
        "safelight.Client('http://127.0.0.1:1')\n"
        "print(*sorted({'litestar', 'uvicorn', 'apsw', 'pyvips', 'PIL', 'boto3', 'botocore', 'safelight.service'}\n"
        "              & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("\n", "")
