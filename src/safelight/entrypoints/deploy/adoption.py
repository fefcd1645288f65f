"""Data that an earlier stack has left behind becomes part of a new one, untouched.

CloudFormation can take in what exists by itself (ImportExistingResources), but only under names that are written out
in the template, and ours hold the account and the region. So an import comes first: a stack of nothing but the data,
each piece named to CloudFormation. The change set that follows makes the rest around it.
"""

import json
from typing import Any

from botocore.exceptions import ClientError

from safelight.entrypoints.deploy import material
from safelight.entrypoints.deploy.account import Account, Names
from safelight.entrypoints.deploy.border import absent, spoken


def left_behind(account: Account, names: Names) -> dict[str, dict[str, str]]:
    """The data that is there, by its name in the template: type and identifier, as CloudFormation wants them."""
    uploads, processed = names.data_buckets
    jobs, records = names.tables
    wanted = {
        "UploadsBucket": {"BucketName": uploads},
        "ProcessedBucket": {"BucketName": processed},
        "JobsTable": {"TableName": jobs},
        "RecordsTable": {"TableName": records},
    }
    return {resource: name for resource, name in wanted.items() if _is_there(account, **name)}


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


def _is_there(account: Account, *, BucketName: str = "", TableName: str = "") -> bool:  # noqa: N803 (AWS's names)
    with spoken():
        try:
            if BucketName:
                account.client("s3").head_bucket(Bucket=BucketName, ExpectedBucketOwner=account.id)
            else:
                account.client("dynamodb").describe_table(TableName=TableName)
        except ClientError as error:
            if absent(error):
                return False
            raise
    return True
