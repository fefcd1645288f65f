// Where the reader is: `#/jobs/…`. In the fragment, so that any static host serves it.

import { computed, signal } from "@preact/signals";

const read = (): string => decodeURI(location.hash.replace(/^#/, "")) || "/";

export const path = signal(read());
window.addEventListener("hashchange", () => (path.value = read()));

/** The path's words: `/jobs/1` is `["jobs", "1"]`. */
export const words = computed(() => path.value.split("?")[0]?.split("/").filter(Boolean).map(decodeURIComponent) ?? []);

export const to = (...parts: string[]): string => `#/${parts.map(encodeURIComponent).join("/")}`;

export function go(...parts: string[]): void {
  location.hash = to(...parts);
}
