// Where the API is, and the key for it.

import { signal } from "@preact/signals";

interface Config {
  /** The API's address; empty: the folder that this page is in. */
  api: string;
}

let base = new URL(".", location.href).href;

/** Read `config.json`, which lies beside the page: on a static site it names the API's host. */
export async function configure(): Promise<void> {
  try {
    const answer = await fetch("config.json", { cache: "no-cache" });
    const config = (await answer.json()) as Partial<Config>;
    if (config.api) base = new URL(config.api.replace(/\/*$/, "/"), location.href).href;
  } catch {
    // Without the file the API is where the page is.
  }
}

/** The full address of a path of the API, such as `jobs/…`. */
export const address = (path: string): string => new URL(path, base).href;

/** The API's own address, as one types it: without a slash at the end. */
export const apiAddress = (): string => base.replace(/\/$/, "");

const KEPT = "safelight.key";

/** The API key or token. It lives as long as this tab: sessionStorage is never sent, and gone with the tab. */
export const key = signal(sessionStorage.getItem(KEPT) ?? "");

/** Whether the API has asked for a key that we do not have, or refused the one that we have. */
export const keyWanted = signal<"" | "missing" | "refused">("");

export function setKey(value: string): void {
  key.value = value.trim();
  keyWanted.value = "";
  if (key.value) sessionStorage.setItem(KEPT, key.value);
  else sessionStorage.removeItem(KEPT);
}
