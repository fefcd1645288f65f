"""The JSON Schema of recipes."""

import inspect
from typing import Any

import msgspec

from safelight.operations import catalogue
from safelight.recipes.recipe import MAX_NAMES, Recipe


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of recipes, made from the code: every operation with its parameters."""
    operations = tuple(catalogue().values())
    (recipe, *steps), components = msgspec.json.schema_components(
        (Recipe, *operations), ref_template="#/$defs/{name}"
    )
    components.pop("Operation", None)
    for component in components.values():
        component["description"] = inspect.cleandoc(component["description"])
    components["Recipe"]["properties"]["steps"]["additionalProperties"] = {
        "anyOf": steps,
        "discriminator": {
            "propertyName": "op",
            "mapping": {cls.name(): step["$ref"] for cls, step in zip(operations, steps, strict=True)},
        },
    }
    properties = components["Recipe"]["properties"]
    names = [cls.name() for cls in operations]
    properties["chain"] = {
        "description": "The short form, in place of steps: one operation after the other.",
        "type": "array",
        "items": {"anyOf": [*steps, {"enum": names}]},
        "minItems": 1,
        "maxItems": MAX_NAMES,
    }
    components["Recipe"]["required"] = ["version"]
    components["Recipe"]["anyOf"] = [
        {"required": ["outputs"], "not": {"required": ["chain"]}},
        {"required": ["chain"], "not": {"required": ["steps"]}},
    ]
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **recipe, "$defs": components}
    plain: dict[str, Any] = msgspec.json.decode(
        msgspec.json.encode(document)
    )  # lists where the code has tuples
    return plain
