"""How model-based tests run: the same bounded examples every time, or, with MODEL_EXAMPLES=50, fifty times as many and
new ones every time."""

import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

TIMES = int(os.environ.get("MODEL_EXAMPLES", "1"))


def run(machine: Any, *, examples: int, steps: int) -> None:
    """Run a state machine: a class, or whatever makes one."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples * TIMES,
            stateful_step_count=steps,
            derandomize=TIMES == 1,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


__all__ = ["RuleBasedStateMachine", "run"]
