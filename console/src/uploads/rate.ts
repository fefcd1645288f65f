// How fast the uploads go, and how long they will take: a moving average over some seconds.

import { signal } from "@preact/signals";
import { entries } from "./sheet";

const EVERY = 1000;
const WEIGHT = 0.3;

export interface Standing {
  files: number;
  done: number;
  bytes: number;
  sent: number;
  /** Bytes a second; 0 while nothing moves. */
  speed: number;
  /** Seconds; null while nobody can say. */
  left: number | null;
  paused: number;
}

/** The uploads under way; null when there are none. */
export const standing = signal<Standing | null>(null);

let at = 0;
let before = 0;
let speed = 0;
let group = new Set<string>();

/** Take in where the uploads are; with `tick`, also how far they came since the last one. */
function measure(tick: boolean): void {
  const now = entries.peek();
  const open = now.filter((entry) => ["waiting", "sending", "paused"].includes(entry.phase));
  if (open.length === 0) {
    group = new Set();
    at = before = speed = 0;
    standing.value = null;
    return;
  }
  open.forEach((entry) => group.add(entry.id));
  const mine = now.filter((entry) => group.has(entry.id));
  const bytes = mine.reduce((sum, entry) => sum + entry.size, 0);
  const sent = mine.reduce((sum, entry) => sum + entry.sent, 0);
  if (tick) {
    const time = performance.now();
    const moved = at ? Math.max(0, sent - before) / ((time - at) / 1000) : 0;
    speed = speed === 0 ? moved : speed + WEIGHT * (moved - speed);
    before = sent;
    at = time;
  }
  const paused = open.filter((entry) => entry.phase === "paused").length;
  const moving = paused < open.length && speed > 1;
  standing.value = {
    files: mine.length,
    done: mine.filter((entry) => entry.phase === "sent").length,
    bytes,
    sent,
    speed: moving ? speed : 0,
    left: moving ? (bytes - sent) / speed : null,
    paused,
  };
}

setInterval(() => measure(true), EVERY);
entries.subscribe(() => measure(false));
