// Server-Sent Events by fetch: EventSource can send no Authorization header.

import { credentials, problemOf, Problem } from "./client";
import { address } from "./config";
import type { Job } from "./types";

/** Follow a job until it has ended: `heard` gets each state. Comes back by itself when the stream is cut, after as
 * long as the server says (`retry`): a host that can not keep an answer open works the same way. */
export async function follow(jobId: string, heard: (job: Job) => void, signal: AbortSignal): Promise<void> {
  const state = { last: "", wait: 2000 };
  while (!signal.aborted) {
    try {
      if (await listen(jobId, state, heard, signal)) return;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem && !error.passing) throw error;
    }
    await pause(state.wait, signal);
  }
}

async function listen(
  jobId: string,
  state: { last: string; wait: number },
  heard: (job: Job) => void,
  signal: AbortSignal,
): Promise<boolean> {
  const headers = { Accept: "text/event-stream", ...credentials(), ...(state.last ? { "Last-Event-ID": state.last } : {}) };
  const answer = await fetch(address(`jobs/${jobId}/events`), { headers, signal, cache: "no-store" });
  if (answer.status === 204) return true;
  if (!answer.ok || !answer.body) throw await problemOf(answer);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return false;
    text += value;
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) read(event, state, heard);
  }
}

function read(event: string, state: { last: string; wait: number }, heard: (job: Job) => void): void {
  let data = "";
  for (const line of event.split("\n")) {
    const colon = line.indexOf(":");
    const value = line.slice(colon + 1).replace(/^ /, "");
    const field = line.slice(0, colon);
    if (field === "data") data += value;
    else if (field === "id") state.last = value;
    else if (field === "retry") state.wait = Number(value) || state.wait;
  }
  if (data) heard(JSON.parse(data) as Job);
}

/** Wait so many milliseconds, or until the signal. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
    signal?.addEventListener("abort", done);
    if (signal?.aborted) done();
  });
}
