"""Records in the records table of DynamoDB.

    pk, sk          partition and key
    value, version  the record
    writer          a random name for each write, by which a write recognises itself after a lost answer
    expiresAt       TTL: whole seconds, rounded up; what has expired is not there, removed or not

Beside them, in partitions of their own, counters: a number for each name, and no value.

Actions: `dynamodb:GetItem`, `PutItem`, `DeleteItem`, `Query`; `UpdateItem` to count.
"""

import secrets
from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any, Final

from botocore.exceptions import ClientError

from safelight.backends.aws.border import Clients, border, code_of
from safelight.backends.aws.tables import EXPIRES
from safelight.cursors import pack, unpack
from safelight.errors import RecordConflict
from safelight.ports import Clock, Page, Record

_REFUSED: Final = "ConditionalCheckFailedException"
_Item = dict[str, Any]


class DynamoRecords:
    """`ports.Records`."""

    def __init__(self, clients: Clients, table: str, *, clock: Clock) -> None:
        self._clients = clients
        self._table = table
        self._clock = clock

    def get(self, partition: str, key: str) -> Record | None:
        """The record as last written."""
        item = self._read(partition, key)
        return _record(item) if item and self._alive(item) else None

    def put(
        self,
        partition: str,
        key: str,
        value: bytes,
        *,
        expected: int | None = None,
        expires_at: float | None = None,
    ) -> Record:
        """Write if the record's version is `expected`."""
        item: _Item = {**_key(partition, key), "value": {"B": value}, "writer": {"S": secrets.token_hex(8)}}
        if expires_at is not None:
            item[EXPIRES] = {"N": str(ceil(expires_at))}
        if expected:  # the table compares: there is nothing to read before
            item["version"] = {"N": str(expected + 1)}
            condition = {
                "ConditionExpression": "#version = :version AND (attribute_not_exists(#expires) OR #expires > :now)",
                "ExpressionAttributeNames": {"#version": "version", "#expires": EXPIRES},
                "ExpressionAttributeValues": {
                    ":version": {"N": str(expected)},
                    ":now": {"N": str(self._clock())},
                },
            }
            found = self._write(item, condition)
            if found is None or found.get("writer") == item["writer"]:
                return _record(item)
            raise RecordConflict
        # Who expects nothing most often finds nothing: the first try needs no read.
        there = None if expected == 0 else self._read(partition, key)
        while True:
            version = int(there["version"]["N"]) if there and self._alive(there) else 0
            if expected is not None and expected != version:
                raise RecordConflict
            item["version"] = {"N": str(version + 1)}
            found = self._write(item, _instead_of(there))
            if found is None or found.get("writer") == item["writer"]:
                return _record(item)
            there = found or None

    def delete(self, partition: str, key: str) -> None:
        """Remove the record."""
        with border("dynamodb:DeleteItem"):
            self._db.delete_item(TableName=self._table, Key=_key(partition, key))

    def list(
        self, partition: str, *, prefix: str = "", cursor: str | None = None, limit: int = 100
    ) -> Page[Record]:
        """The partition's records whose key begins with `prefix`, ordered by key."""
        found: list[Record] = []
        after = None if cursor is None else unpack(cursor, str)[0]
        for item in self._query(partition, prefix, after, limit + 1):
            if self._alive(item):
                found.append(_record(item))
            if len(found) > limit:
                return Page(items=tuple(found[:limit]), cursor=pack(found[limit - 1].key))
        return Page(items=tuple(found))

    # --- counters ---

    def count(
        self, partition: str, key: str, numbers: Mapping[str, int], *, expires_at: float | None = None
    ) -> None:
        """Add to the counters of this name, in one call: who else counts meanwhile is in nobody's way.

        At least once: a call whose answer was lost is repeated.
        """
        names = {f"#{n}": name for n, name in enumerate(numbers)}
        values = {f":{n}": {"N": str(number)} for n, number in enumerate(numbers.values())}
        changes = "ADD " + ", ".join(f"#{n} :{n}" for n in range(len(numbers)))
        if expires_at is not None:
            names["#expires"], values[":expires"] = EXPIRES, {"N": str(ceil(expires_at))}
            changes += " SET #expires = :expires"
        with border("dynamodb:UpdateItem"):
            self._db.update_item(
                TableName=self._table,
                Key=_key(partition, key),
                UpdateExpression=changes,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
            )

    def counters(self, partition: str) -> Iterator[tuple[str, dict[str, int]]]:
        """Every name of the partition with its counters, ordered by name."""
        for item in self._query(partition):
            if self._alive(item):
                yield (
                    item["sk"]["S"],
                    {
                        name: int(value["N"])
                        for name, value in item.items()
                        if name not in ("pk", "sk", EXPIRES)
                    },
                )

    @property
    def _db(self) -> Any:
        return self._clients.get("dynamodb")

    def _query(
        self, partition: str, prefix: str = "", after: str | None = None, at_once: int = 1000
    ) -> Iterator[_Item]:
        names, values = {"#pk": "pk"}, {":pk": {"S": partition}}
        query: dict[str, Any] = {
            "TableName": self._table,
            "ConsistentRead": True,
            "KeyConditionExpression": "#pk = :pk",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
            "Limit": at_once,
        }
        if prefix:
            query["KeyConditionExpression"] += " AND begins_with(#sk, :prefix)"
            names["#sk"], values[":prefix"] = "sk", {"S": prefix}
        if after is not None:
            query["ExclusiveStartKey"] = _key(partition, after)
        while True:
            with border("dynamodb:Query"):
                answer = self._db.query(**query)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _alive(self, item: _Item) -> bool:
        return EXPIRES not in item or float(item[EXPIRES]["N"]) > self._clock()

    def _read(self, partition: str, key: str) -> _Item | None:
        with border("dynamodb:GetItem"):
            answer = self._db.get_item(TableName=self._table, Key=_key(partition, key), ConsistentRead=True)
        item: _Item | None = answer.get("Item")
        return item

    def _write(self, item: _Item, condition: Mapping[str, Any]) -> _Item | None:
        """Put the item. Return None, or if the condition does not hold what is there (empty if nothing is)."""
        with border("dynamodb:PutItem"):
            try:
                self._db.put_item(
                    TableName=self._table,
                    Item=item,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **condition,
                )
            except ClientError as error:
                if code_of(error) != _REFUSED:
                    raise
                there: _Item = error.response.get("Item", {})
            else:
                return None
        return there or self._read(item["pk"]["S"], item["sk"]["S"]) or {}


def _instead_of(there: _Item | None) -> dict[str, Any]:
    """That this is what is there. By its writer and not its version: after an expiry, versions begin again."""
    if there is None:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    return {
        "ConditionExpression": "#writer = :before",
        "ExpressionAttributeNames": {"#writer": "writer"},
        "ExpressionAttributeValues": {":before": there["writer"]},
    }


def _key(partition: str, key: str) -> _Item:
    return {"pk": {"S": partition}, "sk": {"S": key}}


def _record(item: _Item) -> Record:
    return Record(
        partition=item["pk"]["S"],
        key=item["sk"]["S"],
        value=bytes(item["value"]["B"]),
        version=int(item["version"]["N"]),
        expires_at=float(item[EXPIRES]["N"]) if EXPIRES in item else None,
    )
