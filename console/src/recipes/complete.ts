// What may be written at the cursor, by the schema: names of parameters, and values where there is a choice.

import type { Completion, CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import { syntaxTree } from "@codemirror/language";
import type { EditorState } from "@codemirror/state";
import type { SyntaxNode } from "@lezer/common";

export type Schema = { [key: string]: unknown };

/** The completions at the cursor. */
export function completions(context: CompletionContext, schema: Schema): CompletionResult | null {
  const node = syntaxTree(context.state).resolveInner(context.pos, -1);
  const name = node.name === "PropertyName" ? node : null;
  const inString = node.name === "String" || name !== null;
  if (!inString && !context.explicit) return null;
  const holder = name ? name.parent?.parent : enclosing(node);
  const property = node.name === "String" ? node.parent : null;
  const from = inString ? node.from : context.pos;
  const to = inString ? node.to : context.pos;
  if (property?.name === "Property") return answer(values(context.state, property, schema), from, to);
  if (!holder) return null;
  const here = at(context.state, holder, schema);
  const options = here.flatMap((each) => Object.entries((each.properties ?? {}) as Record<string, Schema>));
  return answer(options.map(([key, one]) => ({ label: JSON.stringify(key), type: "property", info: described(one), apply: name ? JSON.stringify(key) : `${JSON.stringify(key)}: ` })), from, to);
}

function answer(options: Completion[], from: number, to: number): CompletionResult | null {
  const unique = [...new Map(options.map((each) => [each.label, each])).values()];
  return unique.length > 0 ? { from, to, options: unique, filter: true } : null;
}

function described(schema: Schema): string {
  return String(schema.description ?? schema.title ?? (schema.default === undefined ? "" : `default: ${JSON.stringify(schema.default)}`));
}

function enclosing(node: SyntaxNode | null): SyntaxNode | null {
  for (let each = node; each; each = each.parent) if (each.name === "Object") return each;
  return null;
}

function values(state: EditorState, property: SyntaxNode, schema: Schema): Completion[] {
  const key = nameOf(state, property);
  const holder = property.parent;
  if (!key || !holder) return [];
  if (key === "use") return steps(state).map((label) => ({ label: JSON.stringify(label), type: "variable" }));
  const here = key === "op" ? branches(state, holder, schema, false) : at(state, holder, schema);
  return here
    .flatMap((each) => step(each, key, schema))
    .flatMap((each) => (Array.isArray(each.enum) ? (each.enum as unknown[]) : []))
    .filter((value) => typeof value === "string")
    .map((value) => ({ label: JSON.stringify(value), type: "enum" }));
}

/** The names of the recipe's steps, and of what there is without them. */
function steps(state: EditorState): string[] {
  const top = syntaxTree(state).topNode.firstChild;
  const all = top?.getChildren("Property").find((each) => nameOf(state, each) === "steps")?.getChild("Object");
  return ["original", ...(all?.getChildren("Property").map((each) => nameOf(state, each) ?? "") ?? [])];
}

function nameOf(state: EditorState, property: SyntaxNode): string | null {
  const name = property.getChild("PropertyName");
  return name && state.sliceDoc(name.from + 1, name.to - 1);
}

/** The schemas that an object in the text has to fit: of several operations, the one that its `op` names. */
function at(state: EditorState, object: SyntaxNode, schema: Schema): Schema[] {
  return branches(state, object, schema, true);
}

function branches(state: EditorState, object: SyntaxNode, schema: Schema, byOp: boolean): Schema[] {
  const path: string[] = [];
  for (let node: SyntaxNode | null = object; node?.parent; node = node.parent) {
    if (node.parent.name === "Property") path.unshift(nameOf(state, node.parent) ?? "");
    else if (node.parent.name === "Array") path.unshift("0");
  }
  const here = path.reduce<Schema[]>((found, key) => found.flatMap((each) => step(each, key, schema)), choices(schema, schema));
  const op = object.getChildren("Property").find((each) => nameOf(state, each) === "op")?.getChild("String");
  if (!op || !byOp) return here;
  const wanted = state.sliceDoc(op.from + 1, op.to - 1);
  const fitting = here.filter((each) => opsOf(each).includes(wanted));
  return fitting.length > 0 ? fitting : here;
}

const opsOf = (schema: Schema): unknown[] => ((schema.properties as Record<string, Schema> | undefined)?.op?.enum as unknown[] | undefined) ?? [];

/** Where one more word leads to. */
function step(schema: Schema, key: string, all: Schema): Schema[] {
  const properties = schema.properties as Record<string, Schema> | undefined;
  const next = properties?.[key] ?? (typeof schema.additionalProperties === "object" ? schema.additionalProperties : null) ?? schema.items;
  return next ? choices(next as Schema, all) : [];
}

/** A schema with its references followed and its alternatives side by side. */
function choices(schema: Schema, all: Schema): Schema[] {
  if (typeof schema.$ref === "string") {
    const found = schema.$ref.split("/").slice(1).reduce<unknown>((node, word) => (node as Schema | undefined)?.[word], all);
    return found ? choices(found as Schema, all) : [];
  }
  if (Array.isArray(schema.anyOf) && !schema.properties) return (schema.anyOf as Schema[]).flatMap((each) => choices(each, all));
  return [schema];
}
