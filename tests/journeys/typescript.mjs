// What a program in Node does with the client: each command prints one line of JSON.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Refused, Safelight } from "./index.js";

const [command, api, path, filename] = process.argv.slice(2);
const safelight = new Safelight({ api });
const say = (told) => process.stdout.write(`${JSON.stringify(told)}\n`);

async function developed(recipe) {
  const file = new File([await readFile(path)], filename, { type: "image/jpeg" });
  const progress = [];
  const jobId = await safelight.upload(file, {
    ...(recipe ? { recipe } : {}),
    metadata: { album: "seven" },
    onProgress: (sent, size) => progress.push([sent, size]),
  });
  const job = await safelight.wait(jobId);
  const outputs = [];
  for (const { name, url, sha256 } of job.outputs) {
    const body = new Uint8Array(await (await fetch(url)).arrayBuffer());
    outputs.push({ name, whole: createHash("sha256").update(body).digest("hex") === sha256 });
  }
  return { job, outputs, progress };
}

async function refused() {
  try {
    return { job: await developed("nobody-knows-it") };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { status: error.status, code: error.code, message: error.message };
  }
}

async function listed() {
  const { data, response } = await safelight.api.GET("/jobs", { params: { query: { limit: 2 } } });
  return { status: response.status, items: data.items.length };
}

// A clock that only pauses move: what it shows.
function pausesOnly() {
  let passed = 0;
  Date.now = () => passed;
  globalThis.setTimeout = (then, milliseconds) => {
    passed += milliseconds;
    queueMicrotask(then);
  };
  return () => passed;
}

const job = (status, headers = {}) => Response.json({ jobId: "j", status }, { headers });

// An API that goes away after its first answer, for a minute.
async function outlasted() {
  const passed = pausesOnly();
  let asked = 0;
  const fetch = async () => {
    asked += 1;
    if (asked > 1 && passed() < 60_000) throw new TypeError("fetch failed");
    return job(asked > 1 ? "COMPLETED" : "PENDING");
  };
  const { status } = await new Safelight({ api, fetch }).wait("j");
  return { status, seconds: passed() / 1000 };
}

// An API that goes away, and callers who do not wait for it: in the middle of a pause and of a request, and before both.
async function abandoned() {
  const told = [];
  const alive = setInterval(() => {}, 1000); // the timer of AbortSignal.timeout does not keep Node from ending
  for (const away of [
    async () => Promise.reject(new TypeError("fetch failed")),
    async () => new Response("", { status: 503, headers: { "Retry-After": "30" } }),
    ({ signal }) =>
      new Promise((_, reject) => {
        signal.throwIfAborted();
        signal.addEventListener("abort", () => reject(signal.reason));
      }),
  ]) {
    const controller = new AbortController();
    for (const [signal, stop] of [
      [AbortSignal.timeout(400), () => {}],
      [controller.signal, () => setTimeout(() => controller.abort("enough"), 400)],
      [AbortSignal.abort("before"), () => {}],
    ]) {
      let asked = 0;
      const fetch = async (request) => ((asked += 1) > 1 ? away(request) : job("COMPLETED"));
      const client = new Safelight({ api, fetch });
      await client.wait("j");
      const start = performance.now();
      stop();
      const reason = await client.wait("j", signal).catch((error) => error.name ?? error);
      told.push({ reason, prompt: performance.now() - start < 1500 });
    }
  }
  clearInterval(alive);
  return told;
}

// Servers that say when to come back, as seconds or as a date: they are busy, or still at the first try of a request.
async function later(said, status) {
  const passed = pausesOnly();
  const headers = { "Retry-After": said };
  const refusal = new Response("", { status: Number(status), headers });
  const answers = [refusal, job("PENDING", headers), job("COMPLETED")];
  const paused = [];
  let before = 0;
  const fetch = async () => {
    paused.push(passed() - before);
    before = passed();
    return answers.shift();
  };
  await new Safelight({ api, fetch }).wait("j");
  return paused.slice(1);
}

// An API that refuses by itself for longer than a restart takes, and is restarted then.
async function busy() {
  const passed = pausesOnly();
  let asked = 0;
  const problem = { type: "urn:safelight:problem:overloaded", code: "overloaded", detail: "Come back later." };
  const headers = { "Content-Type": "application/problem+json", "Retry-After": "30" };
  const fetch = async () => {
    asked += 1;
    if (asked === 1 || asked > 20) return job("COMPLETED");
    if (asked > 6) throw new TypeError("fetch failed");
    return Response.json(problem, { status: 503, headers });
  };
  const client = new Safelight({ api, fetch });
  await client.wait("j");
  const { code, message } = await client.wait("j").catch((error) => error);
  const refusal = { code, message, asked: asked - 1, seconds: passed() / 1000 };
  return { refusal, then: (await client.wait("j")).status };
}

say(await { developed, refused, listed, outlasted, abandoned, later: () => later(path, filename), busy }[command]());
