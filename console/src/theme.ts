// Dark, light, or as the system has it.

import { effect, signal } from "@preact/signals";

export type Theme = "auto" | "dark" | "light";
const KEPT = "safelight.theme";
const kept = localStorage.getItem(KEPT);

export const theme = signal<Theme>(kept === "dark" || kept === "light" ? kept : "auto");

/** Whether dark is shown now. */
export const systemDark = signal(matchMedia("(prefers-color-scheme: dark)").matches);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => (systemDark.value = event.matches));

export const dark = (): boolean => theme.value === "dark" || (theme.value === "auto" && systemDark.value);

export function setTheme(wanted: Theme): void {
  theme.value = wanted;
  if (wanted === "auto") localStorage.removeItem(KEPT);
  else localStorage.setItem(KEPT, wanted);
}

effect(() => {
  document.documentElement.dataset.theme = theme.value;
  document.querySelector('meta[name="theme-color"]')?.setAttribute("content", dark() ? "#120c0b" : "#f6f1ea");
});
