"""The commands of the page about AWS do what it says, from an empty account back to an empty one."""

import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.docs.reading import AWS, filled_in, reader
from tests.support import pages, servers
from tests.support.pages import SHELL
from tests.support.stack import ARCHITECTURE, Emulated, fetched, runtime


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_commands_of_the_page(tmp_path: Path) -> None:
    """They take an account of the emulator from nothing to a finished picture, and back to nothing."""
    with ExitStack() as stack:
        try:
            account = Emulated(stack.enter_context(servers.emulator()))
            fetched()
            chosen = f"--yes --parameter Runtime={runtime()} --parameter Architecture={ARCHITECTURE}"
        except servers.Absent as absent:
            pytest.skip(str(absent))
        shell = stack.enter_context(reader(tmp_path / "reader", **account.environment))
        for block in pages.blocks(AWS):
            if block.language not in SHELL or block.reason:
                continue
            text = filled_in(block.text, shell.said)
            text = re.sub(r"safelight deploy --stack \S+", rf"\g<0> {chosen}", text)
            text = re.sub(r"safelight destroy --stack \S+", r"\g<0> --yes", text)
            text = text.replace("eu-central-1", servers.REGION)
            text = re.sub(r"https://….*amazonaws\.com", lambda _: api_of(account), text)
            shell.run(text, within=200)
            if "safelight deploy" in text:
                buckets = [each["Name"] for each in account.client("s3").list_buckets()["Buckets"]]
                account.allow_http(*(name for name in buckets if "artifacts" not in name))


def api_of(account: Emulated) -> str:
    """Where the emulator serves the deployed API."""
    (api,) = account.client("apigatewayv2").get_apis()["Items"]
    return f"{account.endpoint}/_aws/execute-api/{api['ApiId']}"
