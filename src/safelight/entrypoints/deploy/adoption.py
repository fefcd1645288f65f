"""Data that an earlier stack has left behind becomes part of a new one, untouched.

CloudFormation can take in what exists by itself (ImportExistingResources), but only under names that are written out
in the template, and ours hold the account and the region. So an import comes first: a stack of nothing but the data,
each piece named to CloudFormation. The change set that follows makes the rest around it.
"""

import json
from typing import Any

from safelight.entrypoints.deploy import material
from safelight.entrypoints.deploy.account import Account, Names
from safelight.entrypoints.deploy.remains import has_bucket, has_table, owner_of
from safelight.errors import ConfigurationError


def left_behind(account: Account, names: Names) -> dict[str, dict[str, str]]:
    """The data that is there, by its name in the template: type and identifier, as CloudFormation wants them.

    Raise ConfigurationError if a bucket of that name is there that no stack of ours has made.
    """
    uploads, processed = names.data_buckets
    jobs, records = names.tables
    buckets = {"UploadsBucket": uploads, "ProcessedBucket": processed}
    tables = {"JobsTable": jobs, "RecordsTable": records}
    found = {what: {"BucketName": name} for what, name in buckets.items() if has_bucket(account, name)}
    for each in found.values():
        if owner_of(account, each["BucketName"]) is None:
            raise ConfigurationError(
                f"The bucket {each['BucketName']} is there and is not Safelight's; choose another --parameter AppName=…"
            )
    return found | {what: {"TableName": name} for what, name in tables.items() if has_table(account, name)}


def importing(found: dict[str, dict[str, str]]) -> dict[str, Any]:
    """The template of the data alone, and what it imports: parameters of a change set of type IMPORT."""
    whole = material.load_template()
    resources = {resource: whole["Resources"][resource] for resource in found}
    template = {
        "AWSTemplateFormatVersion": whole["AWSTemplateFormatVersion"],
        "Description": whole["Description"],
        "Parameters": whole["Parameters"],
        "Conditions": whole["Conditions"],
        "Resources": resources,
    }
    return {
        "TemplateBody": json.dumps(template, ensure_ascii=False),
        "ResourcesToImport": [
            {
                "ResourceType": resources[resource]["Type"],
                "LogicalResourceId": resource,
                "ResourceIdentifier": identifier,
            }
            for resource, identifier in found.items()
        ],
    }
