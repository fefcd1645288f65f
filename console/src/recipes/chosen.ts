// Which recipe the next uploads get: one of the server's by name, or one that was written here.

import { signal } from "@preact/signals";
import { api } from "../api/client";
import { key } from "../api/config";
import type { Recipe, Recipes } from "../api/types";

const OWN = "safelight.recipes";
const CHOSEN = "safelight.recipe";

/** The server's recipes, once they are known. */
export const named = signal<Recipes | null>(null);
/** The recipes that were written in this browser: name → JSON text, valid when it was kept. */
export const own = signal<Record<string, string>>(read());
/** `name` or `own:name`; empty: the server's default. */
export const chosen = signal(localStorage.getItem(CHOSEN) ?? "");

function read(): Record<string, string> {
  try {
    return JSON.parse(localStorage.getItem(OWN) ?? "{}") as Record<string, string>;
  } catch {
    return {};
  }
}

export function choose(wanted: string): void {
  chosen.value = wanted;
  localStorage.setItem(CHOSEN, wanted);
}

let learned: string | null = null;

/** Learn the server's recipes; once for each API key, for each owner has recipes of their own. Raises `Problem`. */
export async function load(): Promise<void> {
  const asked = key.peek();
  if (named.peek() && learned === asked) return;
  const recipes = await api.recipes();
  if (key.peek() !== asked) return; // another key's list is on its way
  named.value = recipes;
  learned = asked;
}

export function save(name: string, text: string): void {
  own.value = { ...own.value, [name]: text };
  localStorage.setItem(OWN, JSON.stringify(own.value));
}

export function discard(name: string): void {
  const { [name]: _gone, ...rest } = own.value;
  own.value = rest;
  localStorage.setItem(OWN, JSON.stringify(rest));
  if (chosen.value === `own:${name}`) choose("");
}

/** The chosen recipe as the API takes it; null: the default. A choice that is not there any more counts as none. */
export function chosenRecipe(): string | Recipe | null {
  const wanted = chosen.value;
  if (wanted.startsWith("own:")) {
    const text = own.value[wanted.slice(4)];
    return text ? (JSON.parse(text) as Recipe) : null;
  }
  if (named.value && !named.value.items.some((item) => item.name === wanted)) return null;
  return wanted || null;
}
