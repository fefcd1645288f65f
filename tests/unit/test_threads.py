"""Doing one thing to many, side by side."""

import threading

import pytest

from safelight.threads import side_by_side


def test_results_come_as_they_are_made() -> None:
    """Of every item, and none for none."""
    assert sorted(side_by_side(lambda item: item * 2, range(20), 3)) == list(range(0, 40, 2))
    assert list(side_by_side(str, [], 3)) == []


def test_an_error_waits_for_what_is_in_hand() -> None:
    """No other item is begun after it, and nothing is done any more once it is raised."""
    failed, begun, ended = threading.Event(), threading.Barrier(3), list[int]()

    def work(item: int) -> None:
        if item < 3:
            begun.wait(10)
        if item == 0:
            failed.set()
            raise ValueError("the first")
        failed.wait(10)
        threading.Event().wait(0.2)  # long enough for others to be seen going on without it
        ended.append(item)

    with pytest.raises(ValueError, match="the first"):
        list(side_by_side(work, range(9), 3))
    assert sorted(ended) == [1, 2]


def test_who_stops_asking_does_not_wait() -> None:
    """As after Ctrl-C: what is in hand goes on by itself, and no other item is begun."""
    begun, go_on, ended = list[int](), threading.Event(), threading.Event()

    def work(item: int) -> int:
        begun.append(item)
        if item == 1:
            go_on.wait(10)
            ended.set()
        return item

    results = side_by_side(work, [0, 1, 2], 1)
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    assert not ended.is_set()
    go_on.set()
    assert 2 not in begun
