"""An upload arrived: a message for the worker."""

import json
import os
from urllib.parse import unquote_plus

import boto3

sqs = boto3.client("sqs")


def handler(event, _context):
    """Take S3's event."""
    for record in event["Records"]:
        key = unquote_plus(record["s3"]["object"]["key"])
        message = {"jobId": key.split("/")[1], "key": key}
        sqs.send_message(QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps(message))
