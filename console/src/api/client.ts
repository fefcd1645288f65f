// The API's calls. Every failure is a `Problem` with a sentence to show and a code.

import { address, key, keyWanted } from "./config";
import { t } from "../i18n";
import type { DeadLetter, Job, NamedRecipe, Operations, Page, Parts, Recipe, Recipes, State, Upload } from "./types";

/** Why a request was not carried out. `code` is the API's, or `offline` when nothing answered. */
export class Problem extends Error {
  constructor(
    message: string,
    readonly code: string,
    readonly status = 0,
    readonly retryAfter = 0,
    readonly requestId = "",
  ) {
    super(message);
  }

  /** Whether the same request may succeed later. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

interface Asked {
  method?: string;
  json?: unknown;
  body?: BodyInit;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/** What every request carries for who asks. */
export const credentials = (): Record<string, string> =>
  key.value ? { Authorization: `Bearer ${key.value}` } : {};

/** One request. Raises `Problem`; an abort passes as it is. */
export async function request(path: string, asked: Asked = {}): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json", ...credentials(), ...asked.headers };
  if (asked.json !== undefined) headers["Content-Type"] = "application/json";
  const body = asked.json === undefined ? asked.body : JSON.stringify(asked.json);
  let answer: Response;
  try {
    answer = await fetch(address(path), {
      method: asked.method ?? "GET",
      headers,
      referrerPolicy: "no-referrer",
      ...(body === undefined ? {} : { body }),
      ...(asked.signal ? { signal: asked.signal } : {}),
    });
  } catch (error) {
    if ((error as Error).name === "AbortError") throw error;
    throw new Problem(t("noAnswer"), "offline");
  }
  if (answer.ok || answer.status === 304) return answer;
  throw await problemOf(answer);
}

/** The problem that an answer tells of. */
export async function problemOf(answer: Response): Promise<Problem> {
  const told = (await answer.json().catch(() => ({}))) as Record<string, string>;
  if (answer.status === 401) keyWanted.value = key.value ? "refused" : "missing";
  return new Problem(
    told.detail ?? told.message ?? `The API answered ${answer.status}.`,
    told.code ?? `http_${answer.status}`,
    answer.status,
    Number(answer.headers.get("Retry-After")) || 0,
    answer.headers.get("X-Request-Id") ?? "",
  );
}

async function json<T>(path: string, asked?: Asked): Promise<T> {
  return (await (await request(path, asked)).json()) as T;
}

const query = (values: Record<string, string | number | null | undefined>): string => {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
};

export interface UploadAsked {
  filename: string;
  size: number;
  contentType?: string;
  recipe?: string | Recipe;
  multipart?: boolean;
}

export const api = {
  upload: (asked: UploadAsked, once: string, signal?: AbortSignal) =>
    json<Upload>("uploads", { method: "POST", json: asked, headers: { "Idempotency-Key": once }, signal }),
  parts: (jobId: string, from: number, limit: number, signal?: AbortSignal) =>
    json<Parts>(`uploads/${jobId}/parts?${query({ from, limit })}`, { signal }),
  complete: (jobId: string, parts: { partNumber: number; etag: string }[], signal?: AbortSignal) =>
    json<Job>(`uploads/${jobId}/complete`, { method: "POST", json: { parts }, signal }),
  abandon: (jobId: string) => request(`uploads/${jobId}/parts`, { method: "DELETE" }),
  job: (jobId: string, signal?: AbortSignal) => json<Job>(`jobs/${encodeURIComponent(jobId)}`, { signal }),
  jobs: (asked: { status?: State | ""; cursor?: string | null; limit?: number; filename?: string }, signal?: AbortSignal) =>
    json<Page<Job>>(`jobs?${query(asked)}`, { signal }),
  again: (from: string, recipe: string | Recipe) => json<Job>("jobs", { method: "POST", json: { from, recipe } }),
  cancel: (jobId: string) => json<Job>(`jobs/${jobId}/cancel`, { method: "POST" }),
  retry: (jobId: string) => json<Job>(`jobs/${jobId}/retry`, { method: "POST" }),
  remove: (jobId: string) => request(`jobs/${jobId}`, { method: "DELETE" }),
  recipes: () => json<Recipes>("recipes"),
  recipe: (name: string) => json<NamedRecipe>(`recipes/${encodeURIComponent(name)}`),
  schema: () => json<Record<string, unknown>>("recipes/schema.json"),
  preview: async (form: FormData, signal?: AbortSignal): Promise<Blob> =>
    (await request("preview", { method: "POST", body: form, headers: { Accept: "image/*, application/problem+json" }, signal })).blob(),
  operations: (signal?: AbortSignal) => json<Operations>("ops", { signal }),
  deadLetters: () => json<Page<DeadLetter>>("ops/dead-letters"),
  redrive: () => json<{ redriven: Record<string, string> }>("ops/dead-letters/redrive", { method: "POST", json: { all: true } }),
};
