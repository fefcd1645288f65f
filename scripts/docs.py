"""Write docs/reference/ from the code. With --check, write nothing and fail if a page is not in step.

python scripts/docs.py
python scripts/docs.py --check
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from unittest import mock

import msgspec

from safelight import errors
from safelight.errors import SafelightError

ROOT: Final = Path(__file__).parents[1]
REFERENCE: Final = ROOT / "docs" / "reference"
NOTE: Final = "<!-- Made by scripts/docs.py from the code; changes made here are lost. -->"

Json = dict[str, Any]


def pages() -> dict[Path, str]:
    """Every page and its text."""
    made = {
        "settings": settings(),
        "cli": command_line(),
        "errors": error_codes(),
        "api": api(),
        "python": python_client(),
    }
    texts = {name: re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() for name, lines in made.items()}
    return {REFERENCE / f"{name}.md": f"{NOTE}\n\n{text}\n" for name, text in texts.items()}


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """A Markdown table."""
    yield from ("", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}")
    for row in rows:
        yield f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


def sentence(text: str) -> str:
    """A docstring's first paragraph as one line."""
    return " ".join(inspect.cleandoc(text).partition("\n\n")[0].split())


# --- settings ---------------------------------------------------------------------------------------------


def settings() -> Iterator[str]:
    """docs/reference/settings.md"""
    from safelight import config
    from safelight.entrypoints.cli.settings import every_setting

    yield "# Settings"
    yield ""
    yield inspect.cleandoc(config.Settings.__doc__ or "")
    rows = [(f"`{one.variable}`", code(one.default) or "empty", one.meaning) for one in every_setting()]
    yield from table(("variable", "default", "meaning"), rows)
    yield "`safelight settings` prints the same, with what is set now. The client commands read `SAFELIGHT_API` too."


# --- the command line -------------------------------------------------------------------------------------


def command_line() -> Iterator[str]:
    """docs/reference/cli.md"""
    from safelight.entrypoints.cli import app

    # Cyclopts names commands after the running program: here that is this script, or pytest.
    with mock.patch.object(sys, "argv", ["safelight"]):
        text = app.generate_docs(heading_level=1)
    # The table of contents repeats the list of commands below it.
    text = re.sub(r"## Table of Contents\n.*?(?=\*\*Commands\*\*)", "", text, flags=re.DOTALL)
    yield re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


# --- errors -----------------------------------------------------------------------------------------------


def error_codes() -> Iterator[str]:
    """docs/reference/errors.md"""
    from safelight.client import errors as client_errors
    from safelight.entrypoints.api import problems

    yield "# Errors"
    yield ""
    yield "Codes are stable; messages are written for people and may change."
    yield ""
    yield "## Of requests"
    yield ""
    yield "Answered as `application/problem+json` (RFC 9457) with `code`, `title`, `status`, `detail`, `requestId`,"
    yield "and `error` and `message`, which repeat title and detail."
    kinds = sorted(problems.KINDS.items(), key=lambda item: (item[1].status, item[0].code))
    rows = [(code(error.code), str(kind.status), sentence(error.__doc__ or "")) for error, kind in kinds]
    rows += [(code(name), str(status), detail) for status, (name, _, detail) in problems.TURNED_AWAY.items()]
    name, _, detail = problems.FAULT
    yield from table(("code", "status", "meaning"), [*rows, (code(name), "500", detail)])
    yield "Signed URLs belong to the storage: they answer with S3's statuses and S3's XML, on every backend."
    yield ""
    yield "## Of files"
    yield ""
    yield "The file is at fault: its job is FAILED at once, with this as `error.code` and a sentence as `errorMessage`."
    yield from table(
        ("code", "meaning"), [*_codes(errors.FileError), *_codes(errors.SourceGone, itself=True)]
    )
    yield "## Of attempts"
    yield ""
    yield "Nothing proves the file guilty: the job is tried again, and FAILED with this when its attempts are used up"
    yield "(`SAFELIGHT_MAX_ATTEMPTS`, 5), or when two in a row were `render_timed_out` or `render_crashed`."
    yield from table(("code", "meaning"), _codes(errors.AttemptError))
    yield "## Of webhooks"
    yield ""
    yield "Why a delivery did not arrive, as its attempts tell it; it is tried again. The first two also refuse a URL"
    yield "when it is registered. `webhook_disabled`: it waited for a webhook when that was disabled."
    yield from table(("code", "meaning"), _codes(errors.OutgoingError))
    yield "## Of the client and the command line"
    yield ""
    yield "Raised by `safelight.client`; where the server or a job gave a code, the error carries that one."
    yield from table(("code", "meaning"), _codes(client_errors.ClientError))
    yield "Codes of a refusal that nobody else gave: `storage_unreachable`, the storage does not answer;"
    yield "`not_safelight`, what answers is no Safelight; `refused`, there was no code. `NotCompleted` has the job's"
    yield "code, or its state in small letters. A key or an address that can not be one raises a"
    yield "`ConfigurationError`."
    yield ""
    yield "The command line ends with 0 if all is well, 1 if something failed, 2 if the command was not understood,"
    yield "3 if the configuration is not usable, 130 after Ctrl-C."


def _codes(base: type[SafelightError], *, itself: bool = False) -> list[tuple[str, ...]]:
    """Code and meaning of all classes below one."""
    classes = [base] if itself else base.__subclasses__()
    return [(code(one.code), sentence(one.__doc__ or "")) for one in classes if "code" in vars(one)]


# --- the API ----------------------------------------------------------------------------------------------


def api() -> Iterator[str]:
    """docs/reference/api.md"""
    from litestar import Litestar, Router

    from safelight.config import Settings
    from safelight.entrypoints.api.app import routes
    from safelight.entrypoints.api.context import Call
    from safelight.entrypoints.api.openapi import document

    handlers = [Router("/", route_handlers=routes(Settings()))]
    told = document(Litestar(handlers, openapi_config=None, request_class=Call))
    schemas: dict[str, Json] = told["components"]["schemas"]
    yield "# API"
    yield ""
    yield told["info"]["description"]
    yield ""
    yield "A running Safelight describes itself as OpenAPI 3.1 at `GET /openapi.json`."
    # The framework keeps the methods of a path as a set.
    paths = {path: dict(sorted(methods.items())) for path, methods in told["paths"].items()}
    for path, methods in paths.items():
        for method, operation in methods.items():
            yield from _operation(f"{method.upper()} {path}", operation)
    yield from ("", "# What is sent and read")
    for name in _named_in(paths, schemas):
        yield from _schema(name, schemas[name])


def _operation(title: str, operation: Json) -> Iterator[str]:
    yield from ("", f"## {title}", "", operation["description"])
    parameters = [
        (code(one["name"]), _place(one), one.get("description", "")) for one in operation["parameters"]
    ]
    if parameters:
        yield from table(("parameter", "", ""), parameters)
    if body := operation.get("requestBody"):
        kind, content = next(iter(body["content"].items()))
        if "json" in kind:
            yield f"\nBody: {_type(content['schema'])}."
        else:
            fields: Json = content["schema"]["properties"]
            rows = [(code(name), one["description"]) for name, one in fields.items()]
            yield from table((f"field of the form ({code(kind)})", ""), rows)
    yield from table(("answer", "", ""), [_answer(*item) for item in operation["responses"].items()])


def _place(parameter: Json) -> str:
    kind = _type(parameter["schema"])
    default = parameter["schema"].get("default")
    return f"{parameter['in']}, {kind}" + (f", default {default}" if default is not None else "")


def _answer(status: str, answer: Json) -> tuple[str, ...]:
    content: Json = answer.get("content", {})
    nothing: tuple[str, Json] = ("", {})
    kind, body = next(iter(content.items()), nothing)
    if "problem" in kind:
        return status, "", ", ".join(code(name) for name in body["examples"])
    what = _type(body["schema"]) if "json" in kind else code(kind) if kind else ""
    return status, what, answer["description"]


def _schema(name: str, schema: Json) -> Iterator[str]:
    yield from ("", f"## {_title(name)}", "", schema.get("description", "").strip())
    if "enum" in schema:
        yield from ("", ", ".join(code(str(value)) for value in schema["enum"]))
    if properties := schema.get("properties"):
        rows = [(code(name), _type(one), one.get("description", "")) for name, one in properties.items()]
        yield from table(("field", "", ""), rows)


def _type(schema: Json) -> str:
    """A schema in words, with links to those that have a name."""
    if "$ref" in schema:
        name = _title(schema["$ref"].rpartition("/")[2])
        return f"[{name}](#{name.lower().replace(' ', '-')})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(code(str(value)) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    words = {"integer": "whole number", "object": "object", "string": "text", "boolean": "true or false"}
    kind = str(schema.get("type", "anything"))
    return words.get(kind, kind) + _range(schema)


def _range(schema: Json) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    longest = schema.get("maxLength")
    return f", at most {longest} characters" if longest else ""


def _named_in(paths: Json, schemas: dict[str, Json]) -> list[str]:
    """The schemas that requests and answers lead to, in the order in which a reader meets them."""
    found: dict[str, None] = {}

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            name = str(node.get("$ref", "")).partition("#/components/schemas/")[2]
            if name in schemas and name not in found:
                found[name] = None
                walk(schemas[name])
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(paths)
    return list(found)


def _title(name: str) -> str:
    """`RecipeRefView` as people read it: Recipe ref."""
    words = re.findall(r"[A-Z][a-z]+", name.removesuffix("View"))
    return " ".join(words).capitalize()


# --- the Python client ------------------------------------------------------------------------------------


def python_client() -> Iterator[str]:
    """docs/reference/python.md"""
    from safelight import client
    from safelight.model import JobState

    public = {name: getattr(client, name) for name in client.__all__}
    wrong = {name: one for name, one in public.items() if issubclass(one, SafelightError)}
    answers = {name: one for name, one in public.items() if issubclass(one, msgspec.Struct)}
    yield "# Python client"
    yield ""
    yield inspect.cleandoc(client.__doc__ or "")
    yield ""
    yield "[Use the Python client](../how-to/client.md) shows it at work. A `Progress` is a function that is told how"
    yield "many bytes have been sent, and of how many; a `Document` is a dict, as the [API](api.md) says it."
    others = [name for name in public if name not in wrong and name not in answers]
    for name in sorted(others, key=lambda name: name != "Client"):  # where everybody begins
        yield from _class(name, public[name], made_by_users=name == "Client")
    yield from ("", "# What the API has answered", "")
    yield f"A `JobState` is a string: {', '.join(code(state) for state in JobState)}."
    for name, one in answers.items():
        yield from _class(name, one)
    yield from ("", "# What can go wrong", "")
    yield "Each has a `message` for people and a `code` for programs; [Errors](errors.md) lists the codes."
    for name, one in wrong.items():
        yield from _class(name, one)


def _class(name: str, one: type, *, made_by_users: bool = False) -> Iterator[str]:
    """A class with its fields and public methods, as they stand in its source: there, types have short names."""
    [tree] = ast.parse(inspect.getsource(one)).body
    assert isinstance(tree, ast.ClassDef)
    methods = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    begin = methods.get("__init__")
    yield from ("", f"## {name}", "")
    if begin is not None and made_by_users:
        yield from _signature(name, begin, vars(sys.modules[one.__module__]))
    yield inspect.cleandoc(one.__doc__ or "")
    fields = [*_fields(tree), *(_fields(begin) if begin is not None else ())]
    if fields:
        yield from table(("field", "type", "meaning"), fields)
    for method, node in methods.items():
        if not method.startswith("_"):
            yield from ("", f"### {name}.{method}", "")
            yield from _signature(method, node, vars(sys.modules[one.__module__]))
            yield inspect.cleandoc(ast.get_docstring(node) or "")


def _signature(name: str, function: ast.FunctionDef, known: Json) -> Iterator[str]:
    """How it is called, or read if it is a property; `known` has the values of defaults that have a name."""
    arguments = function.args
    del arguments.args[0]  # self
    arguments.defaults = [
        ast.Constant(known[one.id]) if isinstance(one, ast.Name) else one for one in arguments.defaults
    ]
    each = re.split(r", (?![^\[]*\])", ast.unparse(arguments))  # not within brackets, as of dict[str, Any]
    each = [re.sub(r"^(\w+: [^=]+)=", r"\1 = ", one) for one in each]
    gives = ast.unparse(function.returns).strip("'") if function.returns else "None"
    if any(ast.unparse(one) == "property" for one in function.decorator_list):
        text = f"{name}: {gives}"
    else:
        end = "" if function.name == "__init__" else f" -> {gives}"
        text = f"{name}({', '.join(each)}){end}"
        if len(text) > 90:
            text = "\n".join((f"{name}(", *(f"    {one}," for one in each), f"){end}"))
    yield from ("```py", text, "```", "")


def _fields(tree: ast.ClassDef | ast.FunctionDef) -> Iterator[tuple[str, ...]]:
    """Name, type and meaning of what a class declares, or its `__init__` sets; the meaning is the text after it."""
    given = tree.args.args + tree.args.kwonlyargs if isinstance(tree, ast.FunctionDef) else []
    types = {one.arg: one.annotation for one in given}
    kind: ast.expr | None
    for node, after in pairwise([*tree.body, ast.Pass()]):
        if isinstance(node, ast.AnnAssign):
            name = getattr(node.target, "id", "") or getattr(node.target, "attr", "")
            kind = node.annotation
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
            name, value = node.targets[0].attr, node.value
            kind = types.get(value.id) if isinstance(value, ast.Name) else getattr(value, "func", None)
        else:
            continue
        if not name.startswith("_"):
            said = (
                after.value.value
                if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                else ""
            )
            yield code(name), code(ast.unparse(kind) if kind else ""), str(said)


def code(text: str) -> str:
    """Marked as code, unless there is nothing to mark."""
    return f"`{text}`" if text else ""


# --- running ----------------------------------------------------------------------------------------------


def stale() -> list[Path]:
    """The pages that are not in step with the code."""
    return [path for path, text in pages().items() if not path.exists() or path.read_text() != text]


def main() -> int:
    """Write the pages, or check them; return the exit code."""
    if "--check" in sys.argv[1:]:
        drifted = stale()
        for path in drifted:
            print(
                f"{path.relative_to(ROOT)} is not in step with the code: run python scripts/docs.py",
                file=sys.stderr,
            )
        return 1 if drifted else 0
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for path, text in pages().items():
        path.write_text(text)
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
