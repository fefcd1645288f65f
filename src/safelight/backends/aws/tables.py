"""The two tables, as `CreateTable` takes them: for tests and for services that are only compatible with DynamoDB.

On AWS the stack makes them, with the same keys and indexes, and adds point-in-time recovery and TTL on `expiresAt`.
"""

from typing import Any, Final

BY_OWNER: Final = "by-owner"
DUE: Final = "due"
EXPIRES: Final = "expiresAt"
"""The TTL attribute of both tables: whole Unix seconds."""


def jobs_table(name: str) -> dict[str, Any]:
    """Jobs by id. `by-owner` lists an owner's, newest first; `due` holds only those that the sweeper has to look at.

    The stream carries the old and the new item of every write, and with them the notices.
    """
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "jobId", "AttributeType": "S"},
            {"AttributeName": "owner", "AttributeType": "S"},
            {"AttributeName": "ordered", "AttributeType": "S"},
            {"AttributeName": "dueShard", "AttributeType": "N"},
            {"AttributeName": "dueAt", "AttributeType": "N"},
        ],
        "KeySchema": [{"AttributeName": "jobId", "KeyType": "HASH"}],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": BY_OWNER,
                "KeySchema": [
                    {"AttributeName": "owner", "KeyType": "HASH"},
                    {"AttributeName": "ordered", "KeyType": "RANGE"},
                ],
                # Keys and status are enough to choose by; what is shown is read from the table, where it is the truth.
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["status"]},
            },
            {
                "IndexName": DUE,
                "KeySchema": [
                    {"AttributeName": "dueShard", "KeyType": "HASH"},
                    {"AttributeName": "dueAt", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            },
        ],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    }


def records_table(name: str) -> dict[str, Any]:
    """Records by partition and key."""
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    }
