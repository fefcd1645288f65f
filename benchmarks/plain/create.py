"""POST /uploads: a job, and a signed URL to upload to."""

import json
import os
import time
import uuid

import boto3
from botocore.config import Config

s3 = boto3.client("s3", config=Config(signature_version="s3v4"))
table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def handler(event, _context):
    """Answer API Gateway."""
    body = json.loads(event.get("body") or "{}")
    job_id = str(uuid.uuid4())
    key = f"uploads/{job_id}/{body.get('filename', 'photo.jpg')}"
    table.put_item(Item={"jobId": job_id, "status": "PENDING", "s3Key": key, "createdAt": int(time.time())})
    url = s3.generate_presigned_url(
        "put_object",
        Params={"Bucket": os.environ["UPLOADS"], "Key": key, "ContentType": "image/jpeg"},
        ExpiresIn=300,
    )
    answer = {"jobId": job_id, "uploadUrl": url, "expiresIn": 300}
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(answer)}
