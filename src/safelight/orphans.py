"""Files whose job is gone: what a crash in the middle of an erasure left, or a worker that came too late.

The sweeper erases by the job, so what belongs to no job it never sees. This goes through the folders of all jobs
instead, a page at a time, and asks the store which of them it knows. Where it stopped is kept in the records: any
process goes on there, also after a crash. A pass over everything begins once a day.

On one machine every sweep looks at one page. On AWS nothing looks by itself: the buckets' lifecycle rules remove what
is older than the retention, and unfinished uploads after a day, for nothing, while a daily pass over a million jobs
would be two million reads of the table and two thousand listings, about 8 dollars a month. `safelight sweep --orphans`
does one when somebody wants it.
"""

import logging
import time
import uuid
from collections import Counter
from typing import Final

import msgspec

from safelight.decoding import from_json
from safelight.model import DAY, Value
from safelight.ports import Ports

log = logging.getLogger(__name__)

AREAS: Final = ("uploads/", "processed/uploads/")
"""Where every job has a folder of its own."""

PAGE: Final = 10_000
"""How many folders are looked at in one go. The embedded backend reads all names for each page and keeps only these."""

ASKED_AT_ONCE: Final = 1000
"""How many of them the store is asked about at once."""

YOUNG: Final = DAY
"""Files that are younger stay: the next pass finds them, and whoever has put back an old copy of the store has a day to
notice."""

PASS_EVERY: Final = DAY

PARTITION: Final = "sweeper"
KEY: Final = "orphans"


class Place(Value, frozen=True):
    """How far a pass has come: the area, and where in it. `next_at` is when the next pass begins, once one is over."""

    area: int = 0
    cursor: str | None = None
    next_at: float = 0.0


class Orphans:
    """Looks for files without a job, and removes them."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def look(self) -> Counter[str]:
        """Look at one page, if a pass is due. Return what was done, counted."""
        done: Counter[str] = Counter()
        record = self._ports.records.get(PARTITION, KEY)
        place = from_json(record.value, Place) if record else Place()
        if place.next_at <= self._ports.clock():
            place = self._page(place, done)
            self._ports.records.put(PARTITION, KEY, msgspec.json.encode(place))
        return done

    def pass_over(self, *, budget: float) -> Counter[str]:
        """Look at everything now, for at most about `budget` seconds. What is left over is left to `look`."""
        end = time.monotonic() + budget
        done: Counter[str] = Counter()
        place = Place()
        while not place.next_at:
            if time.monotonic() >= end:
                done["unfinished"] += 1
                break
            place = self._page(place, done)
        self._ports.records.put(PARTITION, KEY, msgspec.json.encode(place))
        return done

    def _page(self, place: Place, done: Counter[str]) -> Place:
        """Look at the page at `place`. Return the place after it."""
        area = AREAS[place.area]
        page = self._ports.blobs.folders(area, cursor=place.cursor, limit=PAGE)
        names = [name for name in page.items if _is_job_id(name)]
        for start in range(0, len(names), ASKED_AT_ONCE):
            asked = names[start : start + ASKED_AT_ONCE]
            known = self._ports.jobs.known(asked)
            for name in asked:
                if name not in known and self._remove(f"{area}{name}/"):
                    done["orphans"] += 1
        if page.cursor is not None:
            return Place(area=place.area, cursor=page.cursor)
        if place.area + 1 < len(AREAS):
            return Place(area=place.area + 1)
        return Place(next_at=self._ports.clock() + PASS_EVERY)

    def _remove(self, prefix: str) -> bool:
        now = self._ports.clock()
        if any(blob.modified_at > now - YOUNG for blob in self._ports.blobs.list(prefix).items):
            return False
        self._ports.blobs.delete(prefix)
        log.info("files without a job removed", extra={"prefix": prefix})
        return True


def _is_job_id(name: str) -> bool:
    """Whether Safelight may have made this folder: everything else is not ours to remove."""
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False
