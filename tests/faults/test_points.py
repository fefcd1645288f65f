"""The fault points themselves: all are known, all are reached, none costs anything."""

import ast
import inspect
import os
import subprocess
import sys
import timeit
from pathlib import Path

from tests.faults.lab import Lab

import safelight
from safelight import faults

SOURCES = Path(safelight.__file__).parent


def test_the_code_and_the_catalogue_name_the_same_points() -> None:
    """Each point stands in the code once, by a plain name, and in `faults.POINTS` with what it means."""
    named = []
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "faults.reached":
                [argument] = node.args
                assert isinstance(argument, ast.Constant)
                assert isinstance(argument.value, str)
                named.append(argument.value)
    assert sorted(named) == sorted(faults.POINTS)


def test_a_life_of_jobs_reaches_every_point(lab: Lab, tmp_path: Path) -> None:
    """No point is forgotten by the tests that crash at each of them."""
    assert set(lab.act("journey", tmp_path / "data").reached) == set(faults.POINTS)


def test_a_point_does_nothing() -> None:
    """It is an empty function: there is no setting that could make it do anything."""
    [function] = ast.parse(inspect.getsource(faults.reached)).body
    assert isinstance(function, ast.FunctionDef)
    assert [type(statement) for statement in function.body] == [ast.Expr]  # the docstring
    assert not any(isinstance(node, ast.Import | ast.ImportFrom) and "typing" not in ast.unparse(node)
                   for node in ast.walk(ast.parse(inspect.getsource(faults))))  # fmt: skip


def test_a_point_costs_nothing(lab: Lab, tmp_path: Path) -> None:
    """All points that a job passes cost it less than a hundredth of a millisecond."""
    reached = sum(lab.act("journey", tmp_path / "data").reached.values())
    seconds = min(timeit.repeat(lambda: faults.reached("job.claimed"), number=10_000)) / 10_000
    assert seconds * reached / 8 < 10e-6  # the journey has eight jobs


def test_no_variable_reaches_the_points(tmp_path: Path) -> None:
    """Not even the tests' own variable does anything in a process that was not told to load what replaces them."""
    script = "from safelight import faults; faults.reached('job.claimed'); print('alive')"
    environ = os.environ | {"FAULTS_KILL": "job.claimed"}
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True)
    assert done.stdout == "alive\n"
