"""What is made of the API's own description for those who call it: `make clients`.

    clients/openapi.json                    the description
    clients/typescript/src/schema.ts        types, by openapi-typescript
    clients/postman/safelight.json          a Postman collection (2.1), which Insomnia, Bruno and others read, too

All three are committed. `--check` says what is not in step with the code; it needs no Node.
"""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
CLIENTS: Final = ROOT / "clients"
OPENAPI: Final = CLIENTS / "openapi.json"
POSTMAN: Final = CLIENTS / "postman" / "safelight.json"
TYPESCRIPT: Final = CLIENTS / "typescript"
SCHEMA: Final = TYPESCRIPT / "src" / "schema.ts"

Json = dict[str, Any]


def description() -> Json:
    """The API's description, with everything on that a setting could turn off, in an order that does not change."""
    from litestar import Litestar, Router

    from safelight.config import Settings
    from safelight.entrypoints.api.app import routes
    from safelight.entrypoints.api.context import Call
    from safelight.entrypoints.api.openapi import document

    app = Litestar([Router("/", route_handlers=routes(Settings()))], openapi_config=None, request_class=Call)
    told: Json = json.loads(json.dumps(document(app, "apikey")))
    told["paths"] = {path: dict(sorted(told["paths"][path].items())) for path in sorted(told["paths"])}
    return told


def as_text(value: Json) -> str:
    """As it is committed: sorted, since the framework keeps some things as sets."""
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


# --- Postman ----------------------------------------------------------------------------------------------


def collection(told: Json) -> Json:
    """The description as a collection. `{{api}}` and `{{key}}` are its variables; new jobs fill in `{{jobId}}`."""
    folders: dict[str, list[Json]] = {}
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            folder = path.strip("/").partition("/")[0] or "about"
            folders.setdefault(folder, []).append(_request(told, path, method.upper(), operation))
    return {
        "info": {
            "_postman_id": "5af1e1a7-0000-4000-8000-000000000000",
            "name": told["info"]["title"],
            "description": told["info"]["description"],
            "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
        },
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{key}}", "type": "string"}]},
        "variable": [
            {"key": "api", "value": "http://127.0.0.1:8000"},
            {"key": "key", "value": ""},
            *({"key": name, "value": ""} for name in _ids(told)),
        ],
        "item": [{"name": name, "item": items} for name, items in folders.items()],
    }


def _ids(told: Json) -> list[str]:
    return sorted({name for path in told["paths"] for name in re.findall(r"\{(\w+)\}", path)})


def _request(told: Json, path: str, method: str, operation: Json) -> Json:
    parts = [re.sub(r"\{(\w+)\}", r"{{\1}}", part) for part in path.strip("/").split("/") if part]
    parameters = operation.get("parameters", ())
    query = [
        {"key": each["name"], "value": "", "description": each.get("description", ""), "disabled": True}
        for each in parameters
        if each["in"] == "query"
    ]
    headers = [
        {"key": each["name"], "value": "", "description": each.get("description", ""), "disabled": True}
        for each in parameters
        if each["in"] == "header"
    ]
    request: Json = {
        "method": method,
        "description": operation.get("description", ""),
        "header": headers,
        "url": {"raw": "{{api}}/" + "/".join(parts), "host": ["{{api}}"], "path": parts, "query": query},
    }
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        example = {
            name: _example(told, schema)
            for name, schema in _resolved(told, content["application/json"]["schema"])["properties"].items()
            if name in EXAMPLES
            or name in _resolved(told, content["application/json"]["schema"]).get("required", ())
        }
        example |= {name: EXAMPLES[name] for name in example if name in EXAMPLES}
        headers.append({"key": "Content-Type", "value": "application/json"})
        language = {"raw": {"language": "json"}}
        request["body"] = {"mode": "raw", "raw": as_text(example).strip(), "options": language}
    item: Json = {"name": operation["summary"], "request": request}
    if not operation.get("security"):
        request["auth"] = {"type": "noauth"}
    if made := re.findall(r"jobId|batchId", json.dumps(_answer(told, operation))):
        remember = [
            f'if (told.{name}) pm.collectionVariables.set("{name}", told.{name});'
            for name in sorted(set(made))
        ]
        if method == "POST":
            script = ["const told = pm.response.json();", *remember]
            item["event"] = [{"listen": "test", "script": {"type": "text/javascript", "exec": script}}]
    return item


EXAMPLES: Final[Json] = {
    "filename": "beach.jpg",
    "from": "{{jobId}}",
    "files": [{"filename": "beach.jpg"}, {"filename": "harbour.jpg"}],
    "parts": [{"partNumber": 1, "etag": "the ETag that storage answered"}],
}
"""What stands in a request's body at first, by the field."""


def _resolved(told: Json, schema: Json) -> Json:
    if "$ref" in schema:
        found: Json = told["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def _example(told: Json, schema: Json) -> Any:
    schema = _resolved(told, schema)
    if examples := schema.get("examples"):
        return examples[0]
    return {"string": "", "integer": 1, "boolean": True, "array": [], "object": {}}.get(
        schema.get("type", ""), ""
    )


def _answer(told: Json, operation: Json) -> Json:
    content = operation["responses"].get("200", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    return dict(_resolved(told, schema).get("properties", {}))


# --- running ----------------------------------------------------------------------------------------------


def texts() -> dict[Path, str]:
    """What is made without Node."""
    told = description()
    return {OPENAPI: as_text(told), POSTMAN: as_text(collection(told))}


def stamp(told: str) -> str:
    """The line by which the types say what they were made from."""
    digest = hashlib.sha256(told.encode()).hexdigest()
    return f"// Made by `make clients` from an OpenAPI description with this SHA-256: {digest}\n"


def stale() -> Iterator[Path]:
    """What is not in step with the code."""
    made = texts()
    yield from (path for path, text in made.items() if not path.exists() or path.read_text() != text)
    if not SCHEMA.exists() or not SCHEMA.read_text().startswith(stamp(made[OPENAPI])):
        yield SCHEMA


def main() -> int:
    """Write everything, or check it; return the exit code."""
    if "--check" in sys.argv[1:]:
        drifted = list(stale())
        for path in drifted:
            print(f"{path.relative_to(ROOT)} is not in step with the code: run make clients", file=sys.stderr)
        return 1 if drifted else 0
    made = texts()
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    subprocess.run(["npm", "run", "--silent", "generate"], cwd=TYPESCRIPT, check=True)
    SCHEMA.write_text(stamp(made[OPENAPI]) + SCHEMA.read_text())
    for path in (*made, SCHEMA):
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
