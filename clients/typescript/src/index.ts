/**
 * A small client for a Safelight: typed calls of the whole API, and the way of a file from upload to outputs.
 *
 *     const safelight = new Safelight({ api: "http://127.0.0.1:8000" });
 *     const job = await safelight.wait(await safelight.upload(file, { onProgress: console.log }));
 *     console.log(job.downloadUrl);
 *
 * It runs wherever `fetch` does: browsers, Node, Deno, Bun. The types in `schema.ts` are made from the API's own
 * description.
 */
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./schema";

export type { components, paths };
export type Job = components["schemas"]["JobView"];
export type UploadOptions = Omit<components["schemas"]["UploadBody"], "size" | "filename" | "multipart" | "method"> & {
  filename?: string;
  /** Repeating a request under the same key makes no second job: what has arrived is not sent again. */
  idempotencyKey?: string;
  /** Told how many bytes have arrived, and of how many. */
  onProgress?: (sent: number, size: number) => void;
  signal?: AbortSignal;
};

const MULTIPART_FROM = 16_000_000;
const AT_ONCE = 4;
const PAGE = 16;
const TRIES = 5;
/** Milliseconds for which an API that has answered before is asked again: an update and its restart take a minute. */
const PATIENCE = 90_000;
const ASK_EVERY = 5_000;
const PASSING = new Set([429, 500, 502, 503, 504]);
/** What a proxy says instead of an API that is being restarted; from the API itself they are refusals. */
const AWAY = new Set([502, 503, 504]);
/** What the type of a problem document begins with that is a Safelight's. */
const PROBLEM = "urn:safelight:problem:";
const LONGEST_PAUSE = 30_000;
const TERMINAL = new Set(["COMPLETED", "FAILED", "EXPIRED", "CANCELED"]);

/** The server, or the storage, said no. `code` is stable. */
export class Refused extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string,
  ) {
    super(message);
  }
}

export class Safelight {
  /** Every call of the API, typed: `safelight.api.GET("/jobs/{jobId}", …)`. */
  readonly api: Client<paths>;

  constructor(options: { api: string; key?: string; fetch?: typeof fetch }) {
    this.fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
    this.api = createClient<paths>({
      baseUrl: options.api.replace(/\/$/, ""),
      headers: options.key ? { Authorization: `Bearer ${options.key}` } : {},
      fetch: (request) => this.patiently(() => this.fetch(request.clone()), request.signal, true),
    });
  }

  private readonly fetch: typeof fetch;
  /** Whether the API has answered. */
  private met = false;

  /** Send a file, in parts if it is large, and return the id of its job. Throws Refused. */
  async upload(file: Blob, options: UploadOptions = {}): Promise<string> {
    const { onProgress, signal, idempotencyKey, filename, ...said } = options;
    const name = filename ?? (file instanceof File ? file.name : undefined);
    const multipart = file.size > MULTIPART_FROM;
    const body = { ...said, filename: name ?? null, size: file.size, multipart: multipart || null };
    const granted = taken(
      await this.api.POST("/uploads", {
        params: { header: { "Idempotency-Key": idempotencyKey ?? crypto.randomUUID() } },
        body,
        signal,
      }),
    );
    if (granted.multipart && granted.uploadUrl !== null) {
      await this.resume(granted.jobId, file, { onProgress, signal });
    } else if (granted.uploadUrl !== null) {
      // With `dedupe` there may be nothing to send: the job has what it needs.
      await this.put(granted.uploadUrl, granted.uploadHeaders, file, signal);
      onProgress?.(file.size, file.size);
    }
    return granted.jobId;
  }

  /** Go on with an upload in parts that was cut off: only what has not arrived is sent. Throws Refused. */
  async resume(
    jobId: string,
    file: Blob,
    { onProgress, signal }: Pick<UploadOptions, "onProgress" | "signal"> = {},
  ): Promise<void> {
    const etags = new Map<number, string>();
    let arrived = 0;
    const count = (bytes: number) => onProgress?.((arrived += bytes), file.size);
    for (let from: number | null = 1; from !== null; ) {
      const query: { from: number; limit: number } = { from, limit: PAGE };
      const page: components["schemas"]["PartsView"] = taken(
        await this.api.GET("/uploads/{jobId}/parts", { params: { path: { jobId }, query }, signal }),
      );
      for (const part of page.uploaded) {
        etags.set(part.partNumber, part.etag);
        count(part.size);
      }
      const todo = page.parts.filter((part) => !etags.has(part.partNumber));
      const worker = async () => {
        for (let part = todo.shift(); part; part = todo.shift()) {
          const start = (part.partNumber - 1) * page.partSize;
          const body = file.slice(start, start + page.partSize);
          const answer = await this.put(part.url, part.headers, body, signal);
          etags.set(part.partNumber, answer.headers.get("etag") ?? "");
          count(body.size);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      from = page.next;
    }
    const parts = [...etags].sort(([a], [b]) => a - b).map(([partNumber, etag]) => ({ partNumber, etag }));
    taken(await this.api.POST("/uploads/{jobId}/complete", { params: { path: { jobId } }, body: { parts }, signal }));
  }

  /** Wait for a job's end, whichever it is. */
  async wait(jobId: string, signal?: AbortSignal): Promise<Job> {
    for (;;) {
      const answer = await this.api.GET("/jobs/{jobId}", { params: { path: { jobId } }, signal });
      const job = taken(answer);
      if (TERMINAL.has(job.status)) return job;
      await pause(retryAfter(answer.response) || 1000, signal);
    }
  }

  private async put(url: string, headers: Record<string, string>, body: Blob, signal?: AbortSignal): Promise<Response> {
    // A browser sets the length itself, and refuses to be told.
    const own = Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== "content-length"));
    const answer = await this.patiently(() => this.fetch(url, { method: "PUT", headers: own, body, signal }), signal);
    if (!answer.ok) {
      const text = await answer.text();
      const said = (tag: string) => new RegExp(`<${tag}>(.*?)</${tag}>`, "s").exec(text)?.[1];
      throw new Refused(said("Message") ?? `Storage answered ${answer.status}.`, answer.status, said("Code") ?? "refused");
    }
    return answer;
  }

  /** What passes by itself is tried again, with growing pauses or after Retry-After; the API until a restart is over. */
  private async patiently(send: () => Promise<Response>, signal?: AbortSignal, api = false): Promise<Response> {
    const start = Date.now();
    const enough = (attempt: number, away: boolean) => {
      const waited = Date.now() - start;
      if (attempt >= TRIES && api && away && waited >= PATIENCE) this.met = false;
      return attempt >= TRIES && !(api && away && this.met && waited < PATIENCE);
    };
    for (let attempt = 1; ; attempt++) {
      let wait = Math.min(250 * 2 ** (attempt - 1), ASK_EVERY) * (0.8 + 0.4 * Math.random());
      try {
        const answer = await send();
        const passing = passes(answer);
        const own = passing && (await isProblem(answer));
        if (api && (own || !passing)) this.met = true;
        if (!passing || enough(attempt, AWAY.has(answer.status) && !own)) return answer;
        wait = Math.max(wait, retryAfter(answer));
      } catch (error) {
        // What the caller has called off is told in the caller's words: any value may be the reason.
        signal?.throwIfAborted();
        if (enough(attempt, true) || (error instanceof DOMException && error.name === "AbortError")) throw error;
      }
      await pause(wait, signal);
    }
  }
}

function taken<T>(answer: { data?: T; error?: unknown; response: Response }): T {
  if (answer.data !== undefined) return answer.data;
  const problem = (answer.error ?? {}) as { detail?: string; code?: string };
  const status = answer.response.status;
  throw new Refused(problem.detail ?? `The server answered ${status}.`, status, problem.code ?? "refused");
}

/** Whether the same request may well be answered otherwise in a moment. */
function passes(answer: Response): boolean {
  // A conflict that says when to come back: the first try of this very request is still being answered.
  return PASSING.has(answer.status) || (answer.status === 409 && answer.headers.has("retry-after"));
}

/** The milliseconds that Retry-After asks for, or 0. It may be a date, too; our own pauses do then. */
function retryAfter(answer: Response): number {
  const text = answer.headers.get("retry-after") ?? "";
  return /^\d+$/.test(text) ? Math.min(1000 * Number(text), LONGEST_PAUSE) : 0;
}

/** Whether it is a Safelight itself that refuses: its problems name their kind by a URN of its own. */
async function isProblem(answer: Response): Promise<boolean> {
  if (!answer.headers.get("content-type")?.startsWith("application/problem+json")) return false;
  const problem: unknown = await answer
    .clone()
    .json()
    .catch(() => null);
  const { type } = (problem ?? {}) as { type?: unknown };
  return typeof type === "string" && type.startsWith(PROBLEM);
}

/** Do nothing for a while. Throws the signal's reason as soon as it is aborted. */
function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const abort = () => (clearTimeout(timer), reject(signal?.reason));
    const timer = setTimeout(() => {
      // A signal may outlive many pauses.
      signal?.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
