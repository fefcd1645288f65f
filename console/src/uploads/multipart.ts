// A large file in parts: several at a time, each again if it fails, and after a reload only those that are missing.

import { api, Problem } from "../api/client";
import { pause } from "../api/events";
import type { Multipart, PartLink, Parts } from "../api/types";
import { Slots } from "./slots";
import { put } from "./transfer";

const AT_ONCE = 3;
const URLS_AT_A_TIME = 50;
const TRIES = 4;

export interface Sending {
  jobId: string;
  multipart: Multipart;
  file: Blob;
  signal: AbortSignal;
  /** Is told how many bytes the storage has or is being sent, of the whole file. */
  sent: (bytes: number) => void;
}

type Part = { partNumber: number; etag: string };

/** Send what the storage does not have yet, and put it together. Raises `Problem`, or the signal's reason. */
export async function sendParts(sending: Sending): Promise<void> {
  const { jobId, signal } = sending;
  const parts = new PartsOf(sending);
  let from: number | null = 1;
  while (from !== null) from = await parts.send(from);
  const named = parts.named();
  await insist(() => api.complete(jobId, named, signal), signal);
}

/** The parts of one file on their way. */
class PartsOf {
  readonly #sending: Sending;
  readonly #slots = new Slots(AT_ONCE);
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;
  readonly #sizes = new Map<number, number>();
  readonly #done = new Map<number, Part>();

  constructor(sending: Sending) {
    this.#sending = sending;
    this.#signal = AbortSignal.any([sending.signal, this.#failed.signal]);
  }

  /** Send the missing parts of a page. Return where the next one begins; null after the last. */
  async send(from: number): Promise<number | null> {
    const page = await this.#page(from, URLS_AT_A_TIME);
    const missing = page.parts.filter(({ partNumber }) => !this.#done.has(partNumber));
    const goodUntil = performance.now() + page.expiresIn * 1000 * 0.8;
    try {
      await Promise.all(missing.map((part) => this.#part(part, goodUntil)));
    } catch (error) {
      this.#failed.abort(error); // the others need not go on
      throw error;
    }
    return page.next;
  }

  /** What the storage said of each part, in their order. */
  named(): Part[] {
    return [...this.#done.values()].sort((a, b) => a.partNumber - b.partNumber);
  }

  async #page(from: number, limit: number): Promise<Parts> {
    const { jobId } = this.#sending;
    const page = await insist(() => api.parts(jobId, from, limit, this.#signal), this.#signal);
    for (const { partNumber, size, etag } of page.uploaded) {
      this.#sizes.set(partNumber, size);
      this.#done.set(partNumber, { partNumber, etag });
    }
    this.#tell();
    return page;
  }

  async #part(link: PartLink, goodUntil: number): Promise<void> {
    const { partNumber } = link;
    const { file, multipart } = this.#sending;
    const release = await this.#slots.take(this.#signal);
    try {
      const body = file.slice((partNumber - 1) * multipart.partSize, partNumber * multipart.partSize);
      const sent = (bytes: number): void => this.#sent(partNumber, bytes);
      // On a slow line a part waits for longer than its URL is good for.
      const fresh = performance.now() < goodUntil ? link : ((await this.#page(partNumber, 1)).parts[0] ?? link);
      const { url, headers } = fresh;
      const etag = await insist(() => put({ url, headers, body, signal: this.#signal, sent }), this.#signal);
      this.#done.set(partNumber, { partNumber, etag });
      this.#sent(partNumber, body.size);
    } finally {
      release();
    }
  }

  #sent(partNumber: number, bytes: number): void {
    this.#sizes.set(partNumber, bytes);
    this.#tell();
  }

  #tell(): void {
    this.#sending.sent([...this.#sizes.values()].reduce((sum, size) => sum + size, 0));
  }
}

/** Try again after a failure that may pass. */
async function insist<T>(what: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await what();
    } catch (error) {
      const passing = error instanceof Problem && error.passing && error.code !== "offline";
      if (!passing || tries >= TRIES || signal.aborted) throw error;
      await pause((error as Problem).retryAfter * 1000 || 400 * 2 ** tries, signal);
    }
  }
}
