// What the API answers: the parts that the console reads. The whole is in openapi.json.

export type State = "PENDING" | "PROCESSING" | "COMPLETED" | "FAILED" | "EXPIRED" | "CANCELED";
export type Stage = "awaiting_upload" | "queued" | "fetching" | "rendering" | "storing" | "done";

export const STATES: readonly State[] = ["PENDING", "PROCESSING", "COMPLETED", "FAILED", "EXPIRED", "CANCELED"];

export interface Output {
  name: string;
  url: string;
  publicUrl: string | null;
  contentType: string;
  width: number;
  height: number;
  frames: number;
  bytes: number;
  sha256: string;
  primary: boolean;
  placeholder: string | null;
}

export interface Moment {
  at: string;
  status: State;
  attempt: number;
  code: string | null;
}

export interface Job {
  jobId: string;
  status: State;
  stage: Stage;
  progress: number;
  attempt: number;
  createdAt: string;
  updatedAt: string;
  expiresAt?: string;
  downloadUrl: string | null;
  recipe: { name: string; digest: string };
  error: { code: string; message: string } | null;
  source: {
    filename: string;
    contentType: string | null;
    format: string | null;
    width: number | null;
    height: number | null;
    bytes: number | null;
  };
  outputs: Output[];
  timeline: Moment[];
  renderedFrom: string | null;
}

export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

export interface Multipart {
  partSize: number;
  parts: number;
}

export interface Upload {
  jobId: string;
  uploadUrl: string;
  expiresIn: number;
  uploadMethod: "PUT" | "POST";
  uploadHeaders: Record<string, string>;
  statusUrl: string;
  multipart?: Multipart | null;
}

export interface PartLink {
  partNumber: number;
  url: string;
  headers: Record<string, string>;
}

export interface Parts {
  partSize: number;
  parts: PartLink[];
  uploaded: { partNumber: number; size: number; etag: string }[];
  next: number | null;
  expiresIn: number;
}

/** A recipe as it is sent: an object in the form of `/recipes/schema.json`. */
export type Recipe = Record<string, unknown>;

export interface NamedRecipe {
  name: string;
  digest: string;
  recipe: Recipe;
}

export interface Recipes {
  items: NamedRecipe[];
  default: string;
}

export interface Operations {
  queue: { depth: number; oldestAgeSeconds: number | null };
  /** Those that have a job. */
  workers: { name: string; jobId: string; since: string }[];
  jobs: Partial<Record<State, number>>;
  deadLetters: { count: number };
  failures: { recent: Failure[] };
  /** Of the last hour, the minutes in which jobs ended. */
  throughput: { minute: string; completed: number; failed: number }[];
}

export interface Failure {
  jobId: string;
  at: string;
  code: string;
  message: string;
}

export interface DeadLetter {
  jobId: string;
  diedAt: string;
  received: number;
  reason: string;
  status: State | null;
}

export const ended = (state: State): boolean => state !== "PENDING" && state !== "PROCESSING";
