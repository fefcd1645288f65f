"""Fault points: the named places of a job's life at which tests cut a process off.

`reached(point)` stands wherever a crash would leave something else behind than a crash one line earlier. It does
nothing, and nothing that an operator can set makes it do anything: tests put a function of their own into its place
(`tests/faults`), which kills, stops or fails the process it runs in.
"""

from typing import Final

POINTS: Final = {
    # the client asks and uploads
    "upload.requested": "the job is stored, the client has no answer yet",
    "batch.jobs": "the jobs of a batch are stored, the batch is not",
    "file.created": "an empty temporary file is there",
    "file.written": "the temporary file is whole, maybe not on the disk",
    "file.synced": "its content is on the disk, its name is still temporary",
    "file.linked": "an output has its final name beside the temporary one",
    "file.placed": "it has its final name, the folder is maybe not on the disk",
    "file.durable": "content and name are on the disk, nobody was told",
    "dispatch.received": "the job knows its upload, inside the transaction that also wakes a worker",
    "dispatch.sent": "job and message are committed, the client's upload is not answered",
    # the file comes in parts
    "multipart.begun": "the storage has begun an upload in parts, the job does not know it",
    "part.placed": "a part has its name, the one that it replaces is still there",
    "parts.joined": "all parts are in one temporary file, nobody sees the object",
    "parts.placed": "the object is there, and so are its parts",
    "multipart.completed": "the object is there, the job does not know it",
    # every write to the store
    "store.committing": "everything is written, nothing committed",
    "store.committed": "the commit has returned, nobody was told",
    # a worker
    "queue.received": "a message is in a worker's hands, the job is not claimed",
    "job.claimed": "the claim is stored, nothing was done",
    "job.fetched": "the original is open",
    "job.rendered": "the results are drawn, none is stored",
    "job.output": "one more output is stored, the job does not name it",
    "job.stored": "all outputs are stored, the job is not COMPLETED",
    "job.completed": "the job is COMPLETED, its message not acknowledged",
    "job.failed": "the job is FAILED, its message not acknowledged",
    "job.released": "the job was given back, what its attempt stored is still there",
    "queue.acknowledging": "the job has ended for this worker, its message is still there",
    "queue.acknowledged": "the message is gone",
    # what heals and removes
    "sweep.step": "the sweeper has found a job that is due and done nothing",
    "sweep.done": "the sweeper has done its step for one job",
    "notice.telling": "a notice is to be told and was not",
    "notice.told": "a notice was told and not settled",
    "erase.ended": "a job that is to be erased is CANCELED, its files are there",
    "webhook.spread": "a delivery is kept and may be due twice, its notice is not settled",
    "webhook.sending": "a delivery is to be sent and was not",
    "webhook.sent": "a delivery was answered, and nothing of that is kept",
    "erase.files": "a job's files are gone, its record is there",
    "erase.record": "its record is gone too",
    "recover.claims": "at start: dead claims are freed, their messages are still hidden",
    "recover.messages": "at start: messages are visible again, unfinished files are still there",
}
"""Every fault point, and how things stand there."""


def reached(point: str) -> None:
    """A process has come to this point. Nothing happens, unless a test has put another function here."""
