"""AWS as a list of answers: what the next request gets, and which requests were made."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from safelight.backends.aws.border import Clients

Answer = dict[str, Any] | Exception | Callable[[dict[str, Any]], dict[str, Any]]


class FakeAws(Clients):
    """Clients that answer what they were told to, in this order."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__("ap-south-1")
        self._answers = list(answers)
        self.requests: list[tuple[str, dict[str, Any]]] = []

    def get(self, service: str) -> Any:
        return _Client(self)

    def answer(self, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """What this request gets."""
        self.requests.append((name, parameters))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(parameters) if callable(answer) else answer

    @property
    def names(self) -> list[str]:
        """The requests that were made."""
        return [name for name, _ in self.requests]


class _Client:
    def __init__(self, aws: FakeAws) -> None:
        self._aws = aws

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        return lambda **parameters: self._aws.answer(name, parameters)


def error(code: str, status: int = 400, **more: Any) -> ClientError:
    """An answer that is an error."""
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}, **more}
    return ClientError(response, "Operation")
