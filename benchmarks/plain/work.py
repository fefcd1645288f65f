"""A message: the picture gets its mark."""

import io
import json
import os

import boto3
from PIL import Image, ImageDraw, ImageFont

s3 = boto3.client("s3")
table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def set_status(job_id, status, **more):
    """Write the job's state."""
    values = {"status": status, **more}
    table.update_item(
        Key={"jobId": job_id},
        UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values),
        ExpressionAttributeNames={f"#{name}": name for name in values},
        ExpressionAttributeValues={f":{name}": value for name, value in values.items()},
    )


def marked(body):
    """The picture with the text in its lower right corner."""
    picture = Image.open(io.BytesIO(body)).convert("RGBA")
    layer = Image.new("RGBA", picture.size, (255, 255, 255, 0))
    draw = ImageDraw.Draw(layer)
    font = ImageFont.load_default(size=max(12, picture.width // 30))
    left, top, right, bottom = draw.textbbox((0, 0), "© Example Media", font=font)
    at = (picture.width - (right - left) - 20, picture.height - (bottom - top) - 20)
    draw.text(at, "© Example Media", font=font, fill=(255, 255, 255, 128))
    out = io.BytesIO()
    Image.alpha_composite(picture, layer).convert("RGB").save(out, "JPEG", quality=90)
    return out.getvalue()


def handler(event, _context):
    """Take SQS's messages."""
    for record in event["Records"]:
        message = json.loads(record["body"])
        set_status(message["jobId"], "PROCESSING")
        original = s3.get_object(Bucket=os.environ["UPLOADS"], Key=message["key"])["Body"].read()
        output = f"processed/{message['key']}"
        s3.put_object(
            Bucket=os.environ["PROCESSED"], Key=output, Body=marked(original), ContentType="image/jpeg"
        )
        set_status(message["jobId"], "COMPLETED", outputKey=output)
