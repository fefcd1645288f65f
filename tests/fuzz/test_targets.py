"""The parsers of strangers' bytes, fed by hypothesis with anything and with good examples that were broken."""

from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz import seeds
from tests.fuzz.targets import TARGETS
from tests.hostile.parts import box, photo

OVERLAPPING = box(b"iloc", pack(">4xHHHHH", 0x0400, 1, 9, 0, 300) + b"\xff" * 4 * 300)
"""A table of places: item 9 has 300 parts, each longer than any file."""

CHANGES = st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=6), st.integers(0, 9)), max_size=8)


@pytest.mark.parametrize("name", TARGETS)
def test_good_examples_pass(name: str) -> None:
    """What a fuzzer starts from is well-formed, and gets through the parser."""
    for example in seeds.of(name):
        TARGETS[name](example)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("recipe", b'{"\x80": 1}', id="JSON that is not UTF-8"),
        pytest.param("recipe", b'{"a":' + b"[" * 5000, id="JSON nested too deeply"),
        pytest.param(
            "policy", b'{"expiration":"2030-01-01T00:00:00Z","conditions":' + b"[" * 5000, id="policy"
        ),
        pytest.param("header", b"\xff\xd8" + b"\xff\x01" * 2_000_000, id="markers of no length"),
        pytest.param("header", photo("AVIF") + OVERLAPPING, id="an item that is all of the file 300 times"),
    ],
)
def test_what_was_found_stays_mended(name: str, data: bytes) -> None:
    """Bytes that once brought a parser to something else."""
    TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=150)
@given(data=st.data())
def test_anything_is_answered(name: str, data: st.DataObject) -> None:
    """No bytes bring a parser to anything but an answer or an error of its own."""
    if data.draw(st.booleans()):
        TARGETS[name](data.draw(st.binary(max_size=2000)))
        return
    broken = data.draw(st.sampled_from(seeds.of(name)))
    for place, new, dropped in data.draw(CHANGES):
        at = place % (len(broken) + 1)
        broken = broken[:at] + new + broken[at + dropped :]
    TARGETS[name](broken)
