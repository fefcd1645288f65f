// Jobs as they change. Two are followed by event streams, which hold a connection each; when more are open, one listing
// asks for all of them.

import { signal, type Signal } from "@preact/signals";
import { api, Problem } from "../api/client";
import { follow, pause } from "../api/events";
import { ended, type Job } from "../api/types";

const STREAMS = 2;
const LOOK_EVERY = 1000;
const LISTED = 100;

const known = new Map<string, Signal<Job | null>>();
const open = new Set<string>();
const streams = new Map<string, AbortController>();
let polling = false;

/** The job as far as it is known; changes by itself while it is watched. */
export function jobSignal(jobId: string): Signal<Job | null> {
  let job = known.get(jobId);
  if (!job) known.set(jobId, (job = signal<Job | null>(null)));
  return job;
}

/** Take in a job's newest state. Older news change nothing. */
export function learn(job: Job): void {
  const mine = jobSignal(job.jobId);
  const had = mine.peek();
  if (had && had.updatedAt > job.updatedAt) return;
  mine.value = job;
  if (ended(job.status)) unwatch(job.jobId);
}

/** Follow a job until it has ended. Watching twice is the same. */
export function watch(jobId: string): void {
  if (open.has(jobId)) return;
  open.add(jobId);
  if (open.size <= STREAMS) stream(jobId);
  else void poll();
}

/** Stop following a job. */
export function unwatch(jobId: string): void {
  open.delete(jobId);
  streams.get(jobId)?.abort();
  streams.delete(jobId);
}

function stream(jobId: string): void {
  const stop = new AbortController();
  streams.set(jobId, stop);
  follow(jobId, learn, stop.signal)
    .then(() => {
      // The stream has ended by itself. Was the end not heard of, the job itself tells it.
      if (open.has(jobId)) void look(jobId);
    })
    .catch(() => unwatch(jobId));
}

async function look(jobId: string): Promise<void> {
  try {
    learn(await api.job(jobId));
  } catch (error) {
    if (error instanceof Problem && !error.passing) unwatch(jobId);
  }
}

/** Ask for the newest jobs again and again, while more are open than have a stream. */
async function poll(): Promise<void> {
  if (polling) return;
  polling = true;
  try {
    while (waiting().length > 0) {
      await pause(LOOK_EVERY);
      await lookAtAll();
      for (const jobId of waiting().slice(0, STREAMS - streams.size)) stream(jobId);
    }
  } finally {
    polling = false;
  }
}

const waiting = (): string[] => [...open].filter((jobId) => !streams.has(jobId));

async function lookAtAll(): Promise<void> {
  try {
    const missing = new Set(waiting());
    if (missing.size === 0) return;
    const page = await api.jobs({ limit: LISTED });
    for (const job of page.items) {
      if (missing.delete(job.jobId)) learn(job);
    }
    // Older than the newest hundred: asked for by name, a few at a time.
    for (const jobId of [...missing].slice(0, 3)) await look(jobId);
  } catch {
    // The API is away; the next round asks again.
  }
}
