"""What is made from the API's description is what the code says now."""

import json
import re
import shutil
import subprocess

import pytest
from scripts import clients


def test_everything_is_in_step_with_the_code() -> None:
    """The description, the types and the collection; `make clients` makes them anew."""
    assert [path.name for path in clients.stale()] == []


def test_the_collection_has_every_call() -> None:
    """Once each, with its method and its address, and every variable that it uses has a name."""
    told = clients.description()
    made = json.loads(clients.POSTMAN.read_text())
    items = [item["request"] for folder in made["item"] for item in folder["item"]]
    calls = [
        (r["method"], r["url"]["raw"].replace("{{api}}", "").replace("{{", "{").replace("}}", "}"))
        for r in items
    ]
    wanted = [(m.upper(), path) for path, methods in told["paths"].items() for m in methods]
    assert sorted(calls) == sorted(wanted)
    used = set(re.findall(r"\{\{(\w+)\}\}", json.dumps(made)))
    assert used <= {variable["key"] for variable in made["variable"]}
    for request in items:
        if "raw" in request.get("body", {}):
            assert isinstance(json.loads(request["body"]["raw"]), dict)


@pytest.mark.skipif(
    shutil.which("npm") is None or not (clients.TYPESCRIPT / "node_modules").is_dir(),
    reason="the TypeScript compiler is not there; `make clients` fetches it",
)
def test_the_client_fits_its_types() -> None:
    """TypeScript has nothing to say about the wrapper, in its strictest mode."""
    done = subprocess.run(
        ["npm", "run", "--silent", "check"], cwd=clients.TYPESCRIPT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")
