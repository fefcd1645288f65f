// An uploader for Uppy: asks the API for a signed URL and sends the file straight to the storage.
//
// A file's upload may stop at any point and begin again, in this page or in the next one: the job is found again by an
// Idempotency-Key that is made once for each file, and what the storage has already is not sent again.

import { BasePlugin, type Body, type Uppy, type UppyFile } from "@uppy/core";
import { api, Problem, type UploadAsked } from "../api/client";
import { pause } from "../api/events";
import type { Multipart, Recipe } from "../api/types";
import { sendParts } from "./multipart";
import { Slots } from "./slots";
import { put } from "./transfer";

/** What is kept with a file, so that a reload finds it again. */
export type Meta = {
  once: string;
  recipe: string | Recipe | null;
  jobId?: string;
  multipart?: Multipart;
  /** What the last try failed with. */
  code?: string;
};

export type File = UppyFile<Meta, Body>;

/** A file of more bytes than this is sent in parts. */
const LARGE = 16_000_000;
/** Files at a time. A browser keeps six connections to a host, and the API needs some as well. */
const AT_ONCE = 4;
const TRIES = 8;
const LONGEST_WAIT = 30_000;

/** The reasons to stop a transfer that are no failures. */
const PAUSED = new DOMException("paused", "AbortError");
const REMOVED = new DOMException("removed", "AbortError");

interface Options {
  [key: string]: unknown;
  id?: string;
}

export class SignedUpload extends BasePlugin<Options, Meta, Body> {
  readonly #slots = new Slots(AT_ONCE);
  readonly #transfers = new Map<string, AbortController>();
  readonly #woken = new EventTarget();

  constructor(uppy: Uppy<Meta, Body>, options: Options = {}) {
    super(uppy, options);
    this.type = "uploader";
    this.id = "SignedUpload";
  }

  override install(): void {
    this.uppy.setState({ capabilities: { ...this.uppy.getState().capabilities, resumableUploads: true } });
    this.uppy.addUploader(this.#upload);
    this.uppy.on("upload-pause", (file, paused) => file && (paused ? this.#stop(file.id, PAUSED) : this.#wake()));
    this.uppy.on("pause-all", () => this.#transfers.forEach((_, id) => this.#stop(id, PAUSED)));
    this.uppy.on("resume-all", () => this.#wake());
    this.uppy.on("file-removed", (file) => this.#remove(file));
    window.addEventListener("online", () => this.#wake());
    // What is under way would hang until the browser gives it up.
    window.addEventListener("offline", () => this.#transfers.forEach((_, id) => this.#stop(id, PAUSED)));
  }

  readonly #upload = async (ids: string[]): Promise<void> => {
    const files = this.uppy.getFilesByIds(ids).filter((file) => file && !file.error && !file.progress.uploadComplete);
    this.uppy.emit("upload-start", files.filter((file) => !file.progress.uploadStarted || !file.isRestored));
    await Promise.all(files.map((file) => this.#carryThrough(file.id)));
  };

  /** Send one file, however often it is paused or the network goes. Never raises: what fails is told to Uppy. */
  async #carryThrough(id: string): Promise<void> {
    for (let tries = 0; ; ) {
      const file = this.uppy.getFile(id);
      if (!file || file.isGhost) return;
      if (file.isPaused || !navigator.onLine) {
        await this.#change();
        continue;
      }
      const transfer = new AbortController();
      this.#transfers.set(id, transfer);
      try {
        const release = await this.#slots.take(transfer.signal);
        try {
          await this.#send(file, transfer.signal);
        } finally {
          release();
        }
        const sent = this.uppy.getFile(id);
        if (sent) this.uppy.emit("upload-success", sent, { status: 200, body: {}, bytesUploaded: sent.size ?? 0 });
        return;
      } catch (error) {
        if (error === REMOVED) return;
        if (error === PAUSED) continue;
        tries += 1;
        if (!(error instanceof Problem) || !error.passing || tries >= TRIES) {
          const failed = this.uppy.getFile(id);
          if (failed) {
            this.#note(id, { code: error instanceof Problem ? error.code : "console_error" });
            this.uppy.emit("upload-error", failed, error as Error);
          }
          return;
        }
        this.#note(id, { code: error.code });
        const wait = error.retryAfter * 1000 || Math.min(LONGEST_WAIT, 500 * 2 ** tries);
        await Promise.race([pause(wait), this.#change()]);
      } finally {
        this.#transfers.delete(id);
      }
    }
  }

  async #send(file: File, signal: AbortSignal): Promise<void> {
    if (!(file.data instanceof Blob)) throw new Problem("The file is not there any more.", "file_gone", 410);
    let { once, jobId = "", multipart } = file.meta;
    if (jobId) {
      const standing = await look(jobId, signal);
      if (standing === "arrived") return;
      if (standing === "gone") {
        multipart = undefined;
        once = crypto.randomUUID();
        this.#note(file.id, { once });
      }
    }
    const sent = (bytes: number): void => {
      if (this.uppy.getFile(file.id)?.meta.code) this.#note(file.id, { code: "" });
      this.#progress(file.id, bytes);
    };
    if (!multipart) {
      const grant = await api.upload(asked(file), once, signal);
      jobId = grant.jobId;
      multipart = grant.multipart ?? undefined;
      this.#note(file.id, { jobId, ...(multipart ? { multipart } : {}) });
      if (!multipart) {
        await put({ url: grant.uploadUrl, headers: grant.uploadHeaders, body: file.data, signal, sent });
        return;
      }
    }
    await sendParts({ jobId, multipart, file: file.data, signal, sent });
  }

  #note(id: string, known: Partial<Meta>): void {
    const file = this.uppy.getFile(id);
    if (file) this.uppy.setFileState(id, { meta: { ...file.meta, ...known } });
  }

  #progress(id: string, bytes: number): void {
    const file = this.uppy.getFile(id);
    if (!file) return;
    const uploadStarted = file.progress.uploadStarted ?? Date.now();
    this.uppy.emit("upload-progress", file, { uploadStarted, bytesUploaded: bytes, bytesTotal: file.size });
  }

  #remove(file: File): void {
    this.#stop(file.id, REMOVED);
    this.#wake(); // so that one who waits finds it gone
    const { jobId } = file.meta;
    if (!jobId || file.progress.uploadComplete) return;
    // Nobody will send the rest: the job goes, and the parts with it.
    api.remove(jobId).catch(() => undefined);
  }

  #stop(id: string, why: DOMException): void {
    this.#transfers.get(id)?.abort(why);
  }

  #wake(): void {
    this.#woken.dispatchEvent(new Event("change"));
  }

  /** Wait until something changed that could let a file go on. */
  #change(): Promise<void> {
    return new Promise((resolve) => this.#woken.addEventListener("change", () => resolve(), { once: true }));
  }
}

/** What is asked of the API for a file. The same file asks the same every time: its Idempotency-Key demands it. */
function asked(file: File): UploadAsked {
  const size = file.size ?? 0;
  return {
    filename: file.name,
    size,
    ...(file.type ? { contentType: file.type } : {}),
    ...(file.meta.recipe ? { recipe: file.meta.recipe } : {}),
    ...(size > LARGE ? { multipart: true } : {}),
  };
}

/** Where the upload of a job stands: an answer may have been lost with a page or a connection. */
async function look(jobId: string, signal: AbortSignal): Promise<"waiting" | "arrived" | "gone"> {
  try {
    const job = await api.job(jobId, signal);
    return job.stage === "awaiting_upload" ? "waiting" : "arrived";
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return "gone";
    throw error;
  }
}
