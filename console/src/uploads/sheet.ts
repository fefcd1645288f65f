// The contact sheet: the photos of this tab, from the moment they are chosen to their renditions. Uppy knows the
// uploads, `watch` the jobs; an entry joins the two. After a reload, Uppy's files come back from IndexedDB and the
// finished uploads from sessionStorage.

import { computed, signal, type Signal } from "@preact/signals";
import Uppy, { type Body } from "@uppy/core";
import GoldenRetriever from "@uppy/golden-retriever";
import { ended, type Job, type Recipe } from "../api/types";
import { jobSignal, unwatch, watch } from "../jobs/watch";
import { develop, forget, keep, kept, type Print } from "./prints";
import { SignedUpload, type File as UppyFile, type Meta } from "./signed-upload";
import { tab } from "./tab";

const KEPT = "safelight.sheet";
const MOST_KEPT = 200;
const MIB = 2 ** 20;

export interface Entry {
  id: string;
  name: string;
  size: number;
  type: string;
  /** Bytes that have left. */
  sent: number;
  phase: "waiting" | "sending" | "paused" | "sent" | "failed" | "lost";
  error: { message: string; code: string } | null;
  /** What the last try failed with, while others are to come; empty: nothing. */
  code: string;
  jobId: string | null;
  recipe: string | Recipe | null;
  recovered: boolean;
}

/** The entries in the order in which they were added. */
export const entries = signal<readonly Entry[]>([]);
/** What was left over from a page that was closed, until the first new file. */
export const recovered = computed(() => entries.value.filter((entry) => entry.recovered).length);
export const refusals = signal<string[]>([]);

/** The uploads that have arrived, by the ids of their entries; of an earlier page in this tab, too. */
const finished = new Map<string, Entry>(
  (JSON.parse(sessionStorage.getItem(KEPT) ?? "[]") as Entry[]).map((entry) => [entry.id, { ...entry, recovered: false }]),
);
const thumbs = new Map<string, Signal<string | null>>();
const prints = new Map<string, Print>();

export const uppy = new Uppy<Meta, Body>({
  id: tab,
  autoProceed: true,
  allowMultipleUploadBatches: true,
  onBeforeFileAdded: (file, files) => {
    const same = files[file.id];
    if (!same || same.isGhost) return true;
    // The same photo once more, with another recipe perhaps: that is a new upload once the first has arrived.
    return same.progress.uploadComplete ? { ...file, id: `${file.id}-${crypto.randomUUID()}` } : false;
  },
});

uppy.use(SignedUpload);
// Its types know other options of IndexedDB than its code does.
const room = { maxFileSize: 500 * MIB, maxTotalSize: 2000 * MIB } as { name?: string };
uppy.use(GoldenRetriever, { expires: 24 * 60 * 60 * 1000, indexedDB: room });

/** Add photos; they are sent at once. Files that were lost by a reload and are chosen again go on. */
export function add(files: Iterable<File>, recipe: string | Recipe | null): void {
  const already = new Set(uppy.getFiles().filter((file) => file.isGhost).map((file) => file.id));
  const chosen = [...files].map((file) => ({
    name: file.name,
    type: file.type,
    data: file,
    source: "console",
    meta: { once: crypto.randomUUID(), recipe, relativePath: (file as { relativePath?: string }).relativePath ?? null },
  }));
  refusals.value = [];
  try {
    uppy.addFiles(chosen as Parameters<typeof uppy.addFiles>[0]);
  } catch (error) {
    refusals.value = [(error as Error).message];
  }
  // A ghost that has its bytes again does not begin by itself.
  for (const id of already) {
    const file = uppy.getFile(id);
    if (file && !file.isGhost) void uppy.retryUpload(id);
  }
}

/** Take an entry off the sheet. A job that has begun stays; what was not sent yet is given up. */
export function remove(id: string): void {
  const entry = entries.peek().find((each) => each.id === id);
  if (entry?.jobId && finished.delete(id)) {
    unwatch(entry.jobId);
    void forget(entry.jobId);
    remember();
  }
  if (uppy.getFile(id)) uppy.removeFile(id);
  const url = thumbs.get(id)?.peek();
  if (url) URL.revokeObjectURL(url);
  thumbs.delete(id);
  prints.delete(id);
  gather();
}

/** Clear the sheet of everything that has ended. */
export function clear(): void {
  for (const entry of entries.peek()) {
    const job = entry.jobId ? jobSignal(entry.jobId).peek() : null;
    if ((entry.phase === "sent" && job && ended(job.status)) || entry.phase === "failed" || entry.phase === "lost") {
      remove(entry.id);
    }
  }
}

/** The address of a small picture of an entry; null until there is one. */
export function thumbOf(id: string): Signal<string | null> {
  let url = thumbs.get(id);
  if (!url) thumbs.set(id, (url = signal<string | null>(null)));
  return url;
}

/** The small copy of the newest photo on the sheet that has one. */
export async function anyPrint(): Promise<Blob | null> {
  const last = [...prints.values()].at(-1);
  if (last) return last.print;
  for (const entry of [...entries.peek()].reverse()) {
    const print = entry.jobId ? await kept(entry.jobId) : null;
    if (print) return print.print;
  }
  return null;
}

function show(id: string, print: Print): void {
  prints.set(id, print);
  thumbOf(id).value = URL.createObjectURL(print.thumb);
  const sent = finished.get(id);
  if (sent?.jobId) void keep(sent.jobId, print); // the upload was faster than the small copy
}

function entryOf(file: UppyFile): Entry {
  const { progress } = file;
  const phase = file.isGhost
    ? "lost"
    : file.error
      ? "failed"
      : progress.uploadComplete
        ? "sent"
        : file.isPaused
          ? "paused"
          : progress.bytesUploaded
            ? "sending"
            : "waiting";
  return {
    id: file.id,
    name: file.name,
    size: file.size ?? 0,
    type: file.type,
    sent: phase === "sent" ? (file.size ?? 0) : Number(progress.bytesUploaded) || 0,
    phase,
    code: file.meta.code ?? "",
    error: file.error ? { message: file.error, code: file.meta.code ?? "" } : null,
    jobId: file.meta.jobId ?? null,
    recipe: file.meta.recipe ?? null,
    recovered: file.isRestored ?? false,
  };
}

function gather(): void {
  const live = uppy.getFiles().map(entryOf);
  const ids = new Set(live.map((entry) => entry.id));
  entries.value = [...[...finished.values()].filter((entry) => !ids.has(entry.id)), ...live];
}

/** Remember the finished uploads for as long as the tab is open. */
function remember(): void {
  sessionStorage.setItem(KEPT, JSON.stringify([...finished.values()].slice(-MOST_KEPT)));
}

let scheduled = false;
function soon(): void {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    gather();
  });
}

uppy.on("state-update", (before, after) => {
  if (before.files !== after.files) soon();
});

uppy.on("file-added", (file) => {
  if (!(file.data instanceof Blob)) return;
  void develop(file.data).then((print) => print && uppy.getFile(file.id) && show(file.id, print));
});

uppy.on("upload-success", (file) => {
  if (!file) return;
  const entry = entryOf(uppy.getFile(file.id) ?? file);
  if (!entry.jobId) return;
  finished.set(entry.id, { ...entry, phase: "sent", sent: entry.size, error: null });
  remember();
  const print = prints.get(entry.id);
  if (print) void keep(entry.jobId, print);
  watch(entry.jobId);
});

uppy.on("restored", () => {
  for (const file of uppy.getFiles()) {
    if (finished.has(file.id)) {
      // It had arrived, and the page was closed before Uppy could write that down.
      uppy.setFileState(file.id, { progress: { ...file.progress, uploadComplete: true } });
      uppy.removeFile(file.id);
    } else if (file.data instanceof Blob) void develop(file.data).then((print) => print && show(file.id, print));
  }
  gather();
  uppy.emit("restore-confirmed");
});

/** Bring back the finished uploads of this tab. */
export function restore(): void {
  for (const { id, jobId } of finished.values()) {
    if (!jobId) continue;
    watch(jobId);
    void kept(jobId).then((print) => print && show(id, print));
  }
  gather();
}

/** The job of an entry, as far as it is known. */
export const jobOf = (entry: Entry): Job | null => (entry.jobId ? jobSignal(entry.jobId).value : null);

/** What was uploaded for a job, if that was done from this tab. */
export const uploadOf = (jobId: string): Entry | null => entries.value.find((entry) => entry.jobId === jobId) ?? null;
