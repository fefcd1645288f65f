"""The pulse sees an API that falls silent, and not only one that says no."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.hostile.pulse import Found, Pulse
from tests.journeys.serving import until


@contextmanager
def api(then: Callable[[BaseHTTPRequestHandler], None], *, good: int = 3) -> Iterator[str]:
    """An API that gives so many good answers, and from then on does something else."""
    asked = iter(range(good))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if next(asked, None) is None:
                then(self)
            else:
                say(self, 200)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def say(request: BaseHTTPRequestHandler, status: int) -> None:
    """Answer with that status."""
    request.send_response(status)
    request.send_header("Content-Length", "0")
    request.end_headers()


def drop(request: BaseHTTPRequestHandler) -> None:
    """End the connection without a word."""
    request.close_connection = True


def refusing(pulse: Pulse) -> Found:
    """What it has found, once there is a refusal."""

    def found() -> Found | None:
        told = pulse.found()
        return told if told.refused else None

    return until(found, within=20.0)


@pytest.mark.parametrize(
    ("then", "word"),
    [
        pytest.param(lambda request: say(request, 503), "503", id="status"),
        pytest.param(drop, "RemoteProtocolError", id="dropped"),
    ],
)
def test_what_is_no_good_answer_is_a_refusal(
    then: Callable[[BaseHTTPRequestHandler], None], word: str
) -> None:
    """Another status and a dropped connection are told, and asking goes on."""
    with api(then) as url:
        pulse = Pulse(url)
        first = refusing(pulse)
        assert all(word in said for said in first.refused)
        more = until(lambda: told if (told := pulse.found()).refused != first.refused else None, within=20.0)
        assert (more.answers, first.answers) == (2, 2)  # the first of three is not counted
        pulse.stop()


def test_an_open_request_counts_while_it_waits() -> None:
    """An API that hangs is seen before the request has timed out, and as a refusal afterwards."""
    let_go = threading.Event()
    with api(lambda request: drop(request) if let_go.wait(60) else None) as url:
        try:
            pulse = Pulse(url, timeout=5)
            waiting = until(lambda: told if (told := pulse.found()).longest > 0.5 else None, within=20.0)
            assert not waiting.refused
            assert all("ReadTimeout" in said for said in refusing(pulse).refused)
        finally:
            let_go.set()
        pulse.stop()


def test_a_pulse_that_broke_tells_nothing() -> None:
    """What was found before it broke is not told as if it still asked."""
    with api(lambda request: say(request, 200)) as url:
        pulse = Pulse(url)
        pulse._process.kill()
        pulse._process.wait(timeout=20)
        with pytest.raises(AssertionError, match="has ended"):
            pulse.found()
        with pytest.raises(AssertionError):
            pulse.stop()
