"""What putting Safelight together costs: only what the settings name."""

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from safelight import bootstrap, config

SCRIPT = """
import json, sys
from safelight import bootstrap, config
before = set(sys.modules)
with bootstrap.build(config.load()) as system:
    print(json.dumps([sorted({"apsw", "botocore", "boto3", "pyvips", "PIL"} & loaded)
                      for loaded in (before, set(sys.modules))]))
"""


def loaded(**environ: str) -> list[list[str]]:
    """What is loaded before and after building, of the things that cost."""
    result = subprocess.run([sys.executable, "-c", SCRIPT], env=environ, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    found: list[list[str]] = json.loads(result.stdout)
    return found


def test_the_embedded_backend_loads_nothing_of_aws(tmp_path: object) -> None:
    """And nothing at all before it is built."""
    assert loaded(SAFELIGHT_DATA=f"{tmp_path}/data") == [[], ["apsw"]]


def test_the_aws_backend_loads_no_database() -> None:
    """And of AWS's library only the core."""
    names = ("UPLOADS_BUCKET", "PROCESSED_BUCKET", "JOBS_TABLE", "RECORDS_TABLE", "QUEUE_URL")
    environ = {f"SAFELIGHT_{name}": "x" for name in names}
    assert loaded(SAFELIGHT_BACKEND="aws", **environ) == [[], ["botocore"]]


def test_download_urls_are_good_for_as_long_as_is_set(tmp_path: Path) -> None:
    """The setting reaches the links."""
    settings = config.Settings(data=str(tmp_path), download_seconds=100_000)
    with bootstrap.build(settings, url="http://here") as system:
        links, now = system.service.ports.links, system.service.ports.clock()
        url = urlsplit(links.download("processed/a", filename="a.jpg", content_type="image/jpeg"))
    assert float(parse_qs(url.query)["X-Safelight-Expires"][0]) >= now + 100_000
