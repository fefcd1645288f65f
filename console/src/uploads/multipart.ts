// A large file in parts: several at a time, each again if it fails, and after a reload only those that are missing.

import { api, Problem } from "../api/client";
import { pause } from "../api/events";
import type { Multipart, Parts } from "../api/types";
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
export async function sendParts({ jobId, multipart, file, signal, sent }: Sending): Promise<void> {
  const { partSize } = multipart;
  const sizes = new Map<number, number>();
  const done = new Map<number, Part>();
  const tell = (): void => sent([...sizes.values()].reduce((sum, size) => sum + size, 0));
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const slots = new Slots(AT_ONCE);

  const send = async (partNumber: number, url: string): Promise<void> => {
    const release = await slots.take(either);
    try {
      const body = file.slice((partNumber - 1) * partSize, partNumber * partSize);
      const progress = (bytes: number): void => {
        sizes.set(partNumber, bytes);
        tell();
      };
      const etag = await insist(() => put({ url, headers: {}, body, signal: either, sent: progress }), either);
      sizes.set(partNumber, body.size);
      done.set(partNumber, { partNumber, etag });
      tell();
    } finally {
      release();
    }
  };

  let from: number | null = 1;
  while (from !== null) {
    const page: Parts = await api.parts(jobId, from, URLS_AT_A_TIME, either);
    for (const { partNumber, size, etag } of page.uploaded) {
      sizes.set(partNumber, size);
      done.set(partNumber, { partNumber, etag });
    }
    tell();
    const missing = page.parts.filter(({ partNumber }) => !done.has(partNumber));
    try {
      await Promise.all(missing.map(({ partNumber, url }) => send(partNumber, url)));
    } catch (error) {
      failed.abort(error); // the others need not go on
      throw error;
    }
    from = page.next;
  }
  const parts = [...done.values()].sort((a, b) => a.partNumber - b.partNumber);
  await insist(() => api.complete(jobId, parts, signal), signal);
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
