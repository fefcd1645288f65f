"""What AWS would take for many pictures, by calculation: writes RESULTS-scaling.md.

Nothing here was measured on AWS. Our own times are measured (the constants say where); how fast Lambda grows, what
things cost and how long a call of a service takes there stand below as named constants with their sources. The model
is simple and errs towards slow: all uploads are asked for at once, the workers grow second by second as Lambda lets
them, a new environment loses its whole start, and nothing is free.
"""

from pathlib import Path
from typing import Final, NamedTuple

from measuring import table

# --- how Lambda grows: docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html and scaling-behavior.html, read
# 25 November 2026

POLLERS_AT_FIRST: Final = 5
"""Batches at a time with which an SQS event source begins."""
POLLERS_A_SECOND: Final = 300 / 60
"""It adds up to 300 a minute."""
POLLERS_AT_MOST: Final = 1_000
ACCOUNT_CONCURRENCY: Final = 1_000
"""What a usual account has for all functions together; new accounts may have less until they ask."""

# --- what things cost in us-east-1, in dollars, without any free tier. Pages of others that quote AWS's list, read
# 25 November 2026: cloudchipr.com/blog/aws-lambda-pricing, apigatewaycost.com/aws,
# airbyte.com/data-engineering-resources/dynamodb-pricing. Check them against AWS's own before you rely on them.

LAMBDA_GB_SECOND: Final = 0.0000133334  # arm64
LAMBDA_REQUEST: Final = 0.20e-6
HTTP_API_REQUEST: Final = 1.00e-6
DYNAMODB_WRITE: Final = 0.625e-6  # one KB
DYNAMODB_READ: Final = 0.125e-6  # four KB, consistent
# The next five are the author's knowledge of AWS's list, not looked up.
SQS_REQUEST: Final = 0.40e-6
SNS_PUBLISH: Final = 0.50e-6
S3_PUT: Final = 0.005e-3
S3_GET: Final = 0.0004e-3
S3_GB_MONTH: Final = 0.023
LOG_GB: Final = 0.50
OUT_GB: Final = 0.09

# --- ours, measured on 2 cores of AMD EPYC (RESULTS.md, RESULTS-aws.md)

RENDER: Final = 0.0146
"""Seconds of one core: a 2 MP photo marked by pixels, in the sandbox. The accelerator is not in the zip."""
WORKER_START: Final = 0.25 + 0.7
"""Seconds of one core: the worker's modules with its clients, and the process that children are forked from (about)."""
API_CALL: Final = 0.012
"""Seconds of a call of the API, the emulator's part included."""
DISPATCH: Final = 0.015

# --- assumed: nobody measured these

CALL_DYNAMODB: Final = 0.008
CALL_S3: Final = 0.040
CALL_SQS: Final = 0.010
ENVIRONMENT: Final = 0.4
"""What Lambda itself takes to start an environment with a zip of this size."""
CORE: Final = 0.8
"""How much of such a core an arm64 core of Lambda is."""

# --- a job, as the code makes it: a photo of 0.7 MB, one output, its state asked for three times, kept for 30 days

PHOTO_GB: Final = 0.7e-3
OUTPUT_GB: Final = 0.7e-3
MEMORY: Final = {"worker": 2.0, "api": 0.5, "events": 0.25}  # GB, as in infra/template.yaml
POLLS: Final = 3
JOB_WRITES: Final = 4 * (3 + 1 + 2)
"""Of the jobs table: created, received, claimed, completed; 3 KB each, one index, and another where a key moves."""
JOB_READS: Final = 4 + POLLS
LOG_KB: Final = 4.0

API_A_SECOND: Final = 500
API_AT_ONCE: Final = 1_000
"""ApiRateLimit and ApiBurstLimit as they are by default."""


class Plan(NamedTuple):
    """How a stack is set up."""

    title: str
    workers: int


PLANS: Final = (Plan("MaxWorkers=50 (the default)", 50), Plan("MaxWorkers=1000", 1_000))
COUNTS: Final = (1_000, 100_000, 10_000_000)


def job_seconds() -> float:
    """How long a worker has one job: three writes and a read of the job, the original, the drawing, the output."""
    cores = min(1.0, MEMORY["worker"] / 1.769)  # a picture is drawn by one thread
    return 4 * CALL_DYNAMODB + 2 * CALL_S3 + RENDER / (CORE * cores)


def start_seconds() -> float:
    """How long a new worker takes until its first job."""
    return ENVIRONMENT + WORKER_START / CORE


def seconds(pictures: int, workers: int) -> float:
    """From the first POST to the last COMPLETED: a step of a tenth of a second at a time."""
    step, now, asked, done, ready = 0.1, 0.0, 0.0, 0.0, 0.0
    most = min(workers, POLLERS_AT_MOST, ACCOUNT_CONCURRENCY)
    while done < pictures:
        now += step
        asked = min(float(pictures), API_AT_ONCE + API_A_SECOND * now)
        allowed = min(most, POLLERS_AT_FIRST + POLLERS_A_SECOND * max(0.0, now - start_seconds()))
        # More environments than there is work for are not started.
        ready = max(ready, min(allowed, asked - done))
        working = 0.0 if now < start_seconds() else ready
        done = min(asked, done + working * step / job_seconds())
        if done >= asked and asked < pictures:  # the workers wait for clients: only those set the pace
            left = pictures - asked
            return now + left / API_A_SECOND + job_seconds()
    return now + API_CALL + DISPATCH


def dollars(pictures: int, workers: int) -> dict[str, float]:
    """What that costs, by service."""
    calls = 1 + POLLS
    compute = (
        MEMORY["worker"] * job_seconds()
        + MEMORY["api"] * (API_CALL + 2 * CALL_DYNAMODB) * calls
        + MEMORY["events"] * (DISPATCH + 2 * CALL_DYNAMODB + CALL_SQS)
        + MEMORY["events"] * (CALL_SQS + 2 * CALL_DYNAMODB)  # the notifier
    )
    each = {
        "Lambda": LAMBDA_GB_SECOND * compute + LAMBDA_REQUEST * (calls + 3),
        "HTTP API": HTTP_API_REQUEST * calls,
        "DynamoDB": DYNAMODB_WRITE * (JOB_WRITES + 2) + DYNAMODB_READ * (JOB_READS + 2),
        "SQS, SNS": SQS_REQUEST * 3 + SNS_PUBLISH,
        "S3 requests": S3_PUT * 2 + S3_GET * 2,
        "S3, 30 days": S3_GB_MONTH * (PHOTO_GB + OUTPUT_GB),
        "logs": LOG_GB * LOG_KB / 1e6,
        "downloads": OUT_GB * OUTPUT_GB,
    }
    whole = {name: price * pictures for name, price in each.items()}
    started = min(workers, pictures)
    whole["Lambda"] += LAMBDA_GB_SECOND * MEMORY["worker"] * start_seconds() * started
    return whole


def spoken(value: float) -> str:
    """Seconds as one says them."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if value >= 2 * size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.0f} s"


def report() -> str:
    """The tables."""
    times = [[f"{count:,}", *(spoken(seconds(count, plan.workers)) for plan in PLANS)] for count in COUNTS]
    costs = []
    names = list(dollars(1, 1))
    for count in COUNTS:
        by_service = dollars(count, PLANS[0].workers)
        costs.append(
            [
                f"{count:,}",
                *(f"{by_service[name]:,.2f}" for name in names),
                f"**{sum(by_service.values()):,.2f}**",
            ]
        )
    ten_thousand = dollars(10_000, PLANS[0].workers)
    alike = sum(price for name, price in ten_thousand.items() if name not in ("downloads", "logs"))
    return f"""# How it would scale on AWS, by calculation

Made by `python benchmarks/scaling.py`. **Nothing here was measured on AWS.** Our own times are measured on
this project's machine; Lambda's growth and the prices are from documentation and named in the program with source and
date; how long a call of S3 or DynamoDB takes there is assumed. By this, a worker has a job for
{job_seconds() * 1e3:.0f} ms, of which {RENDER / CORE * 1e3:.0f} ms are drawing, and needs {start_seconds():.1f} s to
start. 2 MP photos of 0.7 MB, one output, no free tier, us-east-1, arm64.

## Time from the first request to the last result

All are asked for at once. The API's own limit holds: {API_A_SECOND} requests a second after {API_AT_ONCE:,} at once, a
parameter of the stack.

{table(["pictures", *(plan.title for plan in PLANS)], times)}

What the first contract was written for expects 1,000 pictures that arrive together within 15 to 30 s, by a thousand
workers at once. Here it is {spoken(seconds(1_000, 50))}, and not by so many: an event source begins with
{POLLERS_AT_FIRST} workers and adds {POLLERS_A_SECOND:.0f} a second. It needs no more, because a job takes a worker so
little time. Where there are many more pictures, the clients' requests set the pace as soon as the workers are enough:
`ApiRateLimit` is what to raise then, and `MaxWorkers` with it.

## Cost, in dollars

{table(["pictures", *names, "all"], costs)}

What the first contract was written for says $0.77 for 10,000 pictures a month, most of it compute, within free tiers,
without downloads and logs. By the same measure, but without any free tier, it is **${alike:.2f}** here; Lambda's part
of it is ${ten_thousand["Lambda"]:.2f}. At rest a stack costs its alarms and the sweeper's 43,200 calls a month.
"""


def main() -> None:
    """Print the report, and write it."""
    text = report()
    print(text)
    Path(__file__).with_name("RESULTS-scaling.md").write_text(text)


if __name__ == "__main__":
    main()
