"""Doing one thing to many, side by side."""

import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Do the work on all items, several at once; give results as they come. An exception ends it all: no other item is
    begun, and the first one is raised when those in hand are done with.

    The threads are daemons: Ctrl-C does not wait for a server's answer. Whoever stops asking for results stops them,
    each after the item that it has in hand.
    """
    todo: queue.SimpleQueue[Item] = queue.SimpleQueue()
    done: queue.SimpleQueue[Result | BaseException] = queue.SimpleQueue()
    stopped = threading.Event()
    count = 0
    for count, item in enumerate(items, 1):  # noqa: B007 (the count is used below)
        todo.put(item)

    def run() -> None:
        while not stopped.is_set():
            try:
                done.put(work(todo.get_nowait()))
            except queue.Empty:
                return
            except BaseException as error:
                stopped.set()
                done.put(error)
                return

    working = [
        threading.Thread(target=run, name=f"work {number}", daemon=True)
        for number in range(min(threads, count))
    ]
    for thread in working:
        thread.start()
    try:
        for _ in range(count):
            result = done.get()
            if isinstance(result, BaseException):
                for thread in working:
                    thread.join()
                raise result
            yield result
    finally:
        stopped.set()


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
