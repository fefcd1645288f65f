// The words of the page, in the reader's language. English comes with the page; the others are fetched when needed.

import { computed, signal } from "@preact/signals";
import { en, type Catalog, type Plural } from "./en";

export const LANGUAGES = { en: "English", ar: "العربية" } as const;
export type Language = keyof typeof LANGUAGES;
type Key = keyof Catalog;
type Values = Record<string, string | number>;

const KEPT = "safelight.language";
const RIGHT_TO_LEFT: readonly Language[] = ["ar"];

const catalog = signal<Catalog>(en);
export const language = signal<Language>("en");
export const rtl = computed(() => RIGHT_TO_LEFT.includes(language.value));

/** The language that was chosen here before, or the first of the browser's that there is. */
export function preferred(): Language {
  const kept = localStorage.getItem(KEPT) ?? "";
  const wanted = [kept, ...navigator.languages.map((tag) => tag.slice(0, 2))];
  return (wanted.find((tag) => tag in LANGUAGES) as Language | undefined) ?? "en";
}

/** Speak another language from now on. */
export async function speak(wanted: Language, chosen = false): Promise<void> {
  catalog.value = wanted === "ar" ? (await import("./ar")).ar : en;
  language.value = wanted;
  if (chosen) localStorage.setItem(KEPT, wanted);
  document.documentElement.lang = wanted;
  document.documentElement.dir = rtl.value ? "rtl" : "ltr";
}

/** The words for a key, with its values put in. With a plural, `n` chooses the form. */
export function t(key: Key, values: Values = {}): string {
  const words: string | Plural = catalog.value[key];
  const form = typeof words === "string" ? words : plural(words, Number(values.n));
  return form.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    return typeof value === "number" ? number(value) : (value ?? "");
  });
}

function plural(forms: Plural, n: number): string {
  const rule = new Intl.PluralRules(language.value).select(n);
  return forms[rule] ?? forms.other;
}

export const number = (value: number, digits = 0): string =>
  new Intl.NumberFormat(language.value, { maximumFractionDigits: digits }).format(value);

export const percent = (value: number): string =>
  new Intl.NumberFormat(language.value, { style: "percent", maximumFractionDigits: 0 }).format(value);

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte"] as const;

/** A size in decimal units, as the API and the settings count: 1.2 MB. */
export function bytes(value: number): string {
  const step = Math.min(UNITS.length - 1, value < 1000 ? 0 : Math.floor(Math.log10(value) / 3));
  const scaled = value / 1000 ** step;
  return new Intl.NumberFormat(language.value, {
    style: "unit",
    unit: UNITS[step] ?? "byte",
    unitDisplay: step === 0 ? "long" : "short",
    maximumFractionDigits: scaled < 10 && step > 0 ? 1 : 0,
  }).format(scaled);
}

/** A length of time in its largest unit or two: 1 min 20 s. */
export function duration(seconds: number): string {
  const unit = (value: number, name: string): string =>
    new Intl.NumberFormat(language.value, { style: "unit", unit: name, unitDisplay: "short", maximumFractionDigits: value < 10 && name === "second" ? 1 : 0 }).format(value);
  if (seconds < 60) return unit(seconds, "second");
  if (seconds < 3600) return `${unit(Math.floor(seconds / 60), "minute")} ${unit(Math.round(seconds % 60), "second")}`;
  if (seconds < 86400) return `${unit(Math.floor(seconds / 3600), "hour")} ${unit(Math.round((seconds % 3600) / 60), "minute")}`;
  return unit(Math.round(seconds / 86400), "day");
}

/** How long ago, roughly. */
export function ago(iso: string): string {
  const seconds = (Date.parse(iso) - Date.now()) / 1000;
  const form = new Intl.RelativeTimeFormat(language.value, { numeric: "auto" });
  const size = Math.abs(seconds);
  if (size < 60) return form.format(Math.round(Math.min(0, seconds)), "second");
  if (size < 3600) return form.format(Math.round(seconds / 60), "minute");
  if (size < 86400) return form.format(Math.round(seconds / 3600), "hour");
  return form.format(Math.round(seconds / 86400), "day");
}

/** The exact time of day, to the millisecond. */
export const clock = (iso: string): string =>
  new Intl.DateTimeFormat(language.value, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 }).format(new Date(iso));

/** The time of day by hours and minutes. */
export const hour = (iso: string): string =>
  new Intl.DateTimeFormat(language.value, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(new Date(iso));

export const moment = (iso: string): string =>
  new Intl.DateTimeFormat(language.value, { dateStyle: "medium", timeStyle: "medium" }).format(new Date(iso));
