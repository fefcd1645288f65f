"""The client: send a picture, wait for it, save what became of it.

    from safelight import Client

    with Client("http://127.0.0.1:8000") as safelight:
        job = safelight.upload("beach.jpg").wait()
        for path in job.save("finished"):
            print(path)

A large file goes in parts, several at once; an upload that was cut off goes on where it was, if it is asked for again
under the same `idempotency_key`, or with `resume`. Many files go as one batch (`upload_batch`). It speaks plain HTTP
and needs nothing of the server but its address. Calls are synchronous; one client may be used from several threads.
What goes wrong raises a `ClientError`; a file that can not be read, an `OSError`; a recipe file that holds no recipe, a
`RecipeInvalid`; what is no address or no key, a `ConfigurationError`.
"""

from safelight.client.answers import BatchStatus, Failure, Grant, Output, Source, Status
from safelight.client.batches import Batch
from safelight.client.errors import (
    AnotherFile,
    ClientClosed,
    ClientError,
    DamagedDownload,
    EmptyFile,
    NotCompleted,
    Refused,
    TookTooLong,
    Unreachable,
)
from safelight.client.jobs import Job
from safelight.client.pipeline import Client
from safelight.client.webhooks import Webhooks
from safelight.errors import ConfigurationError, RecipeInvalid

__all__ = [
    "AnotherFile",
    "Batch",
    "BatchStatus",
    "Client",
    "ClientClosed",
    "ClientError",
    "ConfigurationError",
    "DamagedDownload",
    "EmptyFile",
    "Failure",
    "Grant",
    "Job",
    "NotCompleted",
    "Output",
    "RecipeInvalid",
    "Refused",
    "Source",
    "Status",
    "TookTooLong",
    "Unreachable",
    "Webhooks",
]
