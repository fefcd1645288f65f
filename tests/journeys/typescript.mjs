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

// An API that goes away after its first answer, for a minute by a clock that only pauses move.
async function outlasted() {
  let [passed, asked] = [0, 0];
  Date.now = () => passed;
  globalThis.setTimeout = (then, milliseconds) => {
    passed += milliseconds;
    queueMicrotask(then);
  };
  const fetch = async () => {
    asked += 1;
    if (asked > 1 && passed < 60_000) throw new TypeError("fetch failed");
    return Response.json({ jobId: "j", status: asked > 1 ? "COMPLETED" : "PENDING" });
  };
  const job = await new Safelight({ api, fetch }).wait("j");
  return { status: job.status, seconds: passed / 1000 };
}

say(await { developed, refused, listed, outlasted }[command]());
