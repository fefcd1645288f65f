"""Recipes: named steps, and named outputs made of them.

    version: 1
    steps:
      upright: {op: auto_orient}
      mark:    {op: watermark, use: upright, text: "© Amodhbh Media", size: 4%}
      hero:    {op: resize, use: mark, width: 2048}
    outputs:
      main:    {use: mark, format: same, quality: keep, primary: true}
      hero:    {use: hero, format: [avif, webp, jpeg], quality: 80}
    limits:    {pixels: 64M, frames: 100}

A step works on the result of the step that it uses, or on the original. A recipe is checked whole before it is
accepted, and every complaint names its place: `steps.mark.opacity: expected a number from 0 to 1, received 7`.

The short form, for one thing after the other, is a chain in place of the steps; outputs are of its end unless they say
otherwise, and without any there is one, `main`:

    version: 1
    chain: [auto_orient, {op: resize, width: 800}]
    outputs: {web: {format: webp}}

    recipe    what a recipe is, and its address by content
    reading   from text to a checked recipe, with every mistake
    lines     where in the text a mistake is
    schema    the JSON Schema
    book      recipes by name
"""

from safelight.notation import MAX_BYTES
from safelight.recipes.book import Book, default
from safelight.recipes.lines import lines_of
from safelight.recipes.reading import build, expected, mistakes, parse
from safelight.recipes.recipe import (
    MAX_NAMES,
    File,
    Format,
    Kind,
    Limits,
    Metadata,
    Recipe,
    Rendition,
    canonical,
    digest,
)
from safelight.recipes.schema import schema

__all__ = [
    "MAX_BYTES",
    "MAX_NAMES",
    "Book",
    "File",
    "Format",
    "Kind",
    "Limits",
    "Metadata",
    "Recipe",
    "Rendition",
    "build",
    "canonical",
    "default",
    "digest",
    "expected",
    "lines_of",
    "mistakes",
    "parse",
    "schema",
]
