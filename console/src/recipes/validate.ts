// What is wrong with a recipe, by the API's JSON Schema, at the very place.

import { Validator, type Schema } from "@cfworker/json-schema";
import type { Recipe } from "../api/types";

/** A mistake: `place` are the words from the top to it, such as ["steps", "thumb", "width"]. */
export interface Mistake {
  place: string[];
  message: string;
}

/** Keywords whose errors only say that something inside is wrong; the inside says it better. */
const OUTER = new Set(["$ref", "allOf", "anyOf", "oneOf", "if", "then", "else", "not", "properties", "items", "prefixItems", "propertyNames"]);

type Node = { [key: string]: unknown };
type Check = (recipe: unknown) => Mistake[];

/** A check by this schema. */
export function checker(schema: Node): Check {
  const exact = sharpen(schema) as Node;
  const validator = new Validator(exact as Schema, "2020-12", false);
  return (recipe) => {
    const found = new Map<string, Mistake>();
    for (const error of validator.validate(recipe).errors) {
      const keyword = error.keyword;
      const choice = keyword === "anyOf" ? oneOf(rule(exact, error.keywordLocation)) : "";
      if ((OUTER.has(keyword) && !choice) || (keyword === "additionalProperties" && !/evaluated|additional/i.test(error.error))) continue;
      const place = words(error.instanceLocation);
      const message = choice || say(keyword, error.error, rule(exact, error.keywordLocation), place);
      if (!found.has(place.join("/"))) found.set(place.join("/"), { place, message });
    }
    return [...found.values(), ...references(recipe)].filter(innermost);
  };
}

const words = (pointer: string): string[] =>
  pointer.split("/").slice(1).map((word) => decodeURIComponent(word).replaceAll("~1", "/").replaceAll("~0", "~"));

/** A place with a mistake inside it needs no complaint of its own. */
function innermost(one: Mistake, _index: number, all: Mistake[]): boolean {
  const start = `${one.place.join("/")}/`;
  return !all.some((other) => other !== one && other.place.join("/").startsWith(start)) || one.place.length === 0;
}

/** The same schema, with every choice between operations made by `op`: so that a mistake in one operation is told as
 * that, and not as a mismatch with all of them. */
function sharpen(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(sharpen);
  if (typeof node !== "object" || node === null) return node;
  const { discriminator, anyOf, ...rest } = node as Node & { discriminator?: { propertyName: string; mapping: Record<string, string> }; anyOf?: Node[] };
  const same = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, sharpen(value)]));
  if (!anyOf) return same;
  const references = anyOf.filter((each) => typeof each.$ref === "string").map((each) => each.$ref as string);
  if (references.length < 3) return { ...same, anyOf: sharpen(anyOf) };
  const mapping = discriminator?.mapping ?? Object.fromEntries(references.map((ref) => [snake(ref.split("/").at(-1) ?? ""), ref]));
  const name = discriminator?.propertyName ?? "op";
  const byName = {
    type: "object",
    required: [name],
    properties: { [name]: { enum: Object.keys(mapping) } },
    allOf: Object.entries(mapping).map(([key, ref]) => ({
      if: { required: [name], properties: { [name]: { const: key } } },
      then: { $ref: ref },
    })),
  };
  const others = anyOf.filter((each) => typeof each.$ref !== "string");
  if (others.length === 0) return { ...same, ...byName };
  return { ...same, if: { type: "string" }, then: { anyOf: others }, else: byName };
}

const snake = (name: string): string => name.replace(/(?!^)([A-Z])/g, "_$1").toLowerCase();

/** The value of the keyword that was broken. */
function rule(schema: Node, location: string): unknown {
  let node: unknown = schema;
  for (const word of words(location)) {
    if (word === "#") continue;
    let next = (node as Node | undefined)?.[word];
    if (word === "$ref" && typeof next === "string") next = target(schema, next);
    node = next;
  }
  return node;
}

const target = (schema: Node, ref: string): unknown =>
  words(ref).reduce<unknown>((node, word) => (node as Node | undefined)?.[word], schema);

/** What a choice between plain values expects, such as "an integer from 1 to 10000"; empty if it is no such choice. */
function oneOf(choices: unknown): string {
  if (!Array.isArray(choices)) return "";
  const wanted = (choices as Node[]).filter((each) => each.type !== "null").map(plain);
  return wanted.length > 0 && wanted.every(Boolean) ? `Expected ${wanted.join(" or ")}.` : "";
}

function plain({ title, type, minimum, maximum }: Node): string {
  if (typeof title === "string") return title;
  if (typeof type !== "string" || type === "object" || type === "array") return "";
  const from = minimum === undefined ? "" : maximum === undefined ? ` of ${String(minimum)} or more` : ` from ${String(minimum)} to ${String(maximum)}`;
  return an(type) + from;
}

function say(keyword: string, given: string, wanted: unknown, place: string[]): string {
  const last = place.at(-1) ?? "";
  switch (keyword) {
    case "enum":
      return Array.isArray(wanted) ? `Expected one of ${wanted.map((value) => JSON.stringify(value)).join(", ")}.` : given;
    case "type":
      return `Expected ${Array.isArray(wanted) ? wanted.join(" or ") : an(String(wanted))}.`;
    case "minimum":
      return `Expected ${String(wanted)} or more.`;
    case "maximum":
      return `Expected ${String(wanted)} or less.`;
    case "additionalProperties":
    case "false":
      return `There is no ${JSON.stringify(last)} here.`;
    case "required":
      return given.replace("Instance does not have", "This needs the");
    case "pattern":
      return `${JSON.stringify(last)} has a value that is not of the right form.`;
  }
  return given;
}

const an = (word: string): string => (/^[aeiou]/.test(word) ? `an ${word}` : `a ${word}`);

/** Steps and outputs that use what there is not: a schema can not say that. */
function references(recipe: unknown): Mistake[] {
  const { steps, outputs } = (recipe ?? {}) as { steps?: Recipe; outputs?: Recipe };
  const names = new Set(["original", ...Object.keys(isObject(steps) ? steps : {})]);
  return (["steps", "outputs"] as const).flatMap((part) => {
    const parts = part === "steps" ? steps : outputs;
    if (!isObject(parts)) return [];
    return Object.entries(parts).flatMap(([name, one]) => {
      const use = isObject(one) ? one.use : undefined;
      if (typeof use !== "string" || names.has(use)) return [];
      return [{ place: [part, name, "use"], message: `There is no step ${JSON.stringify(use)}; there ${names.size === 1 ? "is" : "are"} ${[...names].join(", ")}.` }];
    });
  });
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
