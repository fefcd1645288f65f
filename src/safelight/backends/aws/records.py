"""Records in the records table of DynamoDB.

    pk, sk          partition and key
    value, version  the record
    writer          a random name for each write, by which a write recognises itself after a lost answer
    expiresAt       TTL: whole seconds, rounded up; what has expired is not there, removed or not

Actions: `dynamodb:GetItem`, `PutItem`, `DeleteItem`, `Query`.
"""

import secrets
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
        # Who expects nothing most often finds nothing: the first try needs no read.
        there = None if expected == 0 else self._read(partition, key)
        while True:
            version = int(there["version"]["N"]) if there and self._alive(there) else 0
            if expected is not None and expected != version:
                raise RecordConflict
            item["version"] = {"N": str(version + 1)}
            found = self._write(item, instead_of=there)
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
        names, values = {"#pk": "pk"}, {":pk": {"S": partition}}
        query: dict[str, Any] = {
            "TableName": self._table,
            "ConsistentRead": True,
            "KeyConditionExpression": "#pk = :pk",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
            "Limit": limit + 1,
        }
        if prefix:
            query["KeyConditionExpression"] += " AND begins_with(#sk, :prefix)"
            names["#sk"], values[":prefix"] = "sk", {"S": prefix}
        if cursor is not None:
            query["ExclusiveStartKey"] = _key(partition, unpack(cursor, str)[0])
        found: list[Record] = []
        while True:
            with border("dynamodb:Query"):
                answer = self._db.query(**query)
            found += [_record(item) for item in answer["Items"] if self._alive(item)]
            if len(found) > limit:
                return Page(items=tuple(found[:limit]), cursor=pack(found[limit - 1].key))
            if "LastEvaluatedKey" not in answer:
                return Page(items=tuple(found))
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    @property
    def _db(self) -> Any:
        return self._clients.get("dynamodb")

    def _alive(self, item: _Item) -> bool:
        return EXPIRES not in item or float(item[EXPIRES]["N"]) > self._clock()

    def _read(self, partition: str, key: str) -> _Item | None:
        with border("dynamodb:GetItem"):
            answer = self._db.get_item(TableName=self._table, Key=_key(partition, key), ConsistentRead=True)
        item: _Item | None = answer.get("Item")
        return item

    def _write(self, item: _Item, *, instead_of: _Item | None) -> _Item | None:
        """Put the item if `instead_of` is what is there. Return None, or what is there (empty if nothing is)."""
        # By the writer and not by the version: after an expiry, versions begin again.
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if instead_of is not None:
            condition = {
                "ConditionExpression": "#writer = :before",
                "ExpressionAttributeNames": {"#writer": "writer"},
                "ExpressionAttributeValues": {":before": instead_of["writer"]},
            }
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
