"""Types that several threads decode at the same moment, for the first time."""

import re
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

import safelight
from safelight.decoding import converted, from_json, known

SOURCE = Path(safelight.__file__).parent

AT_ONCE = """
import sys, threading
import msgspec
from safelight.decoding import from_json

sys.setswitchinterval(1e-6)

for turn in range(500):
    class Inner(msgspec.Struct):
        x: int = 0
        y: "list[str]" = []

    class Outer(msgspec.Struct):
        many: "list[Inner]" = []
        one: "Inner | None" = None

    start = threading.Barrier(4)

    def decode():
        start.wait()
        assert from_json(b'{"many": [{"x": 1}], "one": {"x": 2}}', Outer).one.x == 2

    threads = [threading.Thread(target=decode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("alive")
"""


def test_the_first_use_may_come_from_several_threads() -> None:
    """By msgspec alone the process crashes within some hundred types."""
    run = subprocess.run([sys.executable, "-c", AT_ONCE], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "alive\n"), run.stderr


def test_a_type_is_looked_at_by_one_thread_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one waits for the first."""
    looking = threading.Event()
    going_on = threading.Event()
    looks: list[str] = []
    decoder = msgspec.json.Decoder

    class Kind(msgspec.Struct):
        x: int

    def slow(kind: type[Kind]) -> msgspec.json.Decoder[Kind]:
        looks.append(threading.current_thread().name)
        if len(looks) == 1:
            looking.set()
            assert going_on.wait(60)
        return decoder(kind)

    monkeypatch.setattr(msgspec.json, "Decoder", slow)
    first = threading.Thread(target=known, args=(Kind,), name="first")
    first.start()
    assert looking.wait(60)
    second = threading.Thread(target=known, args=(Kind,), name="second")
    second.start()
    second.join(0.05)
    assert looks == ["first"]
    going_on.set()
    first.join(60)
    second.join(60)
    assert known(Kind) is Kind
    assert not first.is_alive()
    assert not second.is_alive()


def test_values_are_what_msgspec_makes_of_them() -> None:
    """And its errors pass through."""

    class Kind(msgspec.Struct):
        x: int

    assert (
        from_json(b'{"x": 1}', Kind) == converted({"x": 1}, Kind) == converted({"x": "1"}, Kind, strict=False)
    )
    assert from_json("[1, 2]", tuple[int, int]) == (1, 2)
    with pytest.raises(msgspec.ValidationError):
        from_json(b'{"x": "1"}', Kind)
    with pytest.raises(msgspec.DecodeError):
        from_json(b"{", Kind)


def test_nothing_else_decodes_a_struct() -> None:
    """Where msgspec is asked for a type by itself, that is the settings', before there is a second thread, or parts of
    structs that `known` has seen."""
    alone = re.compile(
        r"json\.decode\([^\n]*type=|msgpack\.decode\((?!.*known)|msgspec\.convert\(|Decoder\((?!known)"
    )
    found = {
        f"{path.relative_to(SOURCE)}: {line.strip()}"
        for path in SOURCE.rglob("*.py")
        for line in path.read_text().splitlines()
        if path.name != "decoding.py" and alone.search(line)
    }
    assert found == {
        "config.py: return msgspec.convert(values, Settings, strict=False)",
        "entrypoints/api/requests.py: msgspec.convert(value, kind)",
        "recipes/reading.py: return msgspec.convert(value, kind)",
    }
