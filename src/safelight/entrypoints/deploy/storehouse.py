"""The artifacts bucket: a stack's own, for the functions' code and the template. It goes when the stack goes."""

import hashlib
from pathlib import Path

from botocore.exceptions import ClientError

from safelight.entrypoints.deploy.account import STACK_TAG, Account
from safelight.entrypoints.deploy.border import absent, spoken
from safelight.entrypoints.deploy.remains import has_bucket


class Storehouse:
    """One bucket of this account."""

    def __init__(self, account: Account, bucket: str, stack: str) -> None:
        self.bucket = bucket
        self._account = account
        self._stack = stack
        self._s3 = account.client("s3")

    def exists(self) -> bool:
        """Whether it is there. Raise ConfigurationError if somebody else's is."""
        return has_bucket(self._account, self.bucket)

    def make(self) -> None:
        """Make it: private, encrypted, for TLS only."""
        region = self._account.region
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        arn = f"arn:{_partition(region)}:s3:::{self.bucket}"
        policy = (
            '{"Version":"2012-10-17","Statement":[{"Sid":"OnlyOverTls","Effect":"Deny","Principal":"*","Action":"s3:*",'
            f'"Resource":["{arn}","{arn}/*"],"Condition":{{"Bool":{{"aws:SecureTransport":"false"}}}}}}]}}'
        )
        blocked = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        with spoken():
            self._s3.create_bucket(Bucket=self.bucket, **where)
            self._s3.put_bucket_tagging(
                Bucket=self.bucket, Tagging={"TagSet": [{"Key": STACK_TAG, "Value": self._stack}]}
            )
            self._s3.put_public_access_block(
                Bucket=self.bucket, PublicAccessBlockConfiguration=dict.fromkeys(blocked, True)
            )
            if self._s3.meta.endpoint_url.startswith("https:"):
                self._s3.put_bucket_policy(Bucket=self.bucket, Policy=policy)

    def keep(self, key: str, path: Path) -> None:
        """Upload a file whose key names its content, unless it is there."""
        with spoken():
            try:
                self._s3.head_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if not absent(error):
                    raise
                with path.open("rb") as file:
                    self._s3.put_object(Bucket=self.bucket, Key=key, Body=file)

    def keep_template(self, path: Path) -> str:
        """Upload the template and return its URL, as CloudFormation takes it."""
        key = f"templates/{hashlib.sha256(path.read_bytes()).hexdigest()[:32]}.yaml"
        self.keep(key, path)
        endpoint: str = self._s3.meta.endpoint_url
        return f"{endpoint.rstrip('/')}/{self.bucket}/{key}"


def _partition(region: str) -> str:
    prefix = region.partition("-")[0]
    return "aws-cn" if prefix == "cn" else "aws-us-gov" if region.startswith("us-gov-") else "aws"
