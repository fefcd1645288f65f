"""GET /jobs/{jobId}: the state, and a signed URL to download from."""

import json
import os

import boto3
from botocore.config import Config

s3 = boto3.client("s3", config=Config(signature_version="s3v4"))
table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def handler(event, _context):
    """Answer API Gateway."""
    job_id = event["pathParameters"]["jobId"]
    item = table.get_item(Key={"jobId": job_id}).get("Item")
    headers = {"Content-Type": "application/json"}
    if item is None:
        return {"statusCode": 404, "headers": headers, "body": json.dumps({"message": "no such job"})}
    answer = {"jobId": job_id, "status": item["status"]}
    if item["status"] == "COMPLETED":
        answer["downloadUrl"] = s3.generate_presigned_url(
            "get_object", Params={"Bucket": os.environ["PROCESSED"], "Key": item["outputKey"]}, ExpiresIn=3600
        )
    return {"statusCode": 200, "headers": headers, "body": json.dumps(answer)}
