"""What can go wrong for a client.

    SafelightError
    └── ClientError
        ├── Unreachable        nobody answers at the address
        ├── Refused            the server or the storage said no; carries its status and code
        ├── NotCompleted       the job has no outputs to save; carries the job's state and code
        ├── TookTooLong        the job, or the batch, goes on, but the time to wait is over
        ├── AnotherFile        the file is not the one whose upload is to go on, or that the job has
        ├── EmptyFile          there is nothing in the file that could be sent
        ├── DamagedDownload    the bytes that came are not those that the job names
        └── ClientClosed       the client was closed before, so nothing can be asked

Where the server gave a code, the error carries that code.
"""

from safelight.errors import SafelightError


class ClientError(SafelightError):
    """The request could not be carried out."""

    code = "client_error"


class Unreachable(ClientError):
    """No Safelight answers."""

    code = "unreachable"

    def __init__(self, api: str, why: str = "") -> None:
        self.api = api
        super().__init__(why or f"No Safelight answers at {api}; start one with `safelight serve`.")


class Refused(ClientError):
    """The server refused the request."""

    def __init__(self, message: str, *, status: int, code: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code  # type: ignore[misc]  # the server's code says more than one of our own


class NotCompleted(ClientError):
    """The job has not been completed, so there is nothing to save."""

    def __init__(self, message: str, *, state: str, code: str) -> None:
        super().__init__(message)
        self.state = state
        self.code = code  # type: ignore[misc]  # the job's code says more than one of our own


class TookTooLong(ClientError):
    """The job goes on, but the time to wait for it is over."""

    code = "took_too_long"


class AnotherFile(ClientError):
    """The file is not the one that was announced, or that the job has; name that one, or send this one anew."""

    code = "another_file"


class EmptyFile(ClientError):
    """The file is empty (0 bytes)."""

    code = "empty_file"


class DamagedDownload(ClientError):
    """The bytes that came are not those that the job names; download them again."""

    code = "damaged_download"


class ClientClosed(ClientError):
    """The client is closed, and nothing more can be asked through it; ask within its `with` block, or make another."""

    code = "client_closed"
