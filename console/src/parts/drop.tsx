import { getDroppedFiles } from "@uppy/core/utils";
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "../i18n";
import { announce } from "./announce";

/** Where photos are dropped. The whole window takes them: nobody has to aim. */
export function Drop({ take, children }: { take: (files: Iterable<File>) => void; children: ComponentChildren }) {
  const [over, setOver] = useState(false);
  useEffect(() => {
    let depth = 0; // dragenter and dragleave come for every element on the way
    const stop = new AbortController();
    const on = (name: string, what: (event: DragEvent) => void): void =>
      window.addEventListener(
        name,
        (event) => {
          if (!(event as DragEvent).dataTransfer?.types.includes("Files")) return;
          event.preventDefault();
          what(event as DragEvent);
        },
        { signal: stop.signal },
      );
    on("dragenter", () => setOver(++depth > 0));
    on("dragleave", () => setOver(--depth > 0));
    on("dragover", (event) => {
      if (event.dataTransfer) event.dataTransfer.dropEffect = "copy";
    });
    on("drop", (event) => {
      depth = 0;
      setOver(false);
      if (event.dataTransfer) {
        void getDroppedFiles(event.dataTransfer).then((files) => {
          const seen = files.filter((file) => !file.name.startsWith("."));
          announce(t("photos", { n: seen.length }));
          take(seen);
        });
      }
    });
    return () => stop.abort();
  }, []);
  return <section class={over ? "drop over" : "drop"}>{children}</section>;
}

/** The darkroom: a lamp over a line of prints. */
export function Scene() {
  return (
    <svg class="scene" viewBox="0 0 640 260" aria-hidden="true" focusable="false">
      <defs>
        <radialGradient id="scene-glow" cx="50%" cy="0%" r="100%">
          <stop offset="0" class="glow-in" />
          <stop offset="1" class="glow-out" />
        </radialGradient>
        <linearGradient id="scene-sky" x1="0" y1="0" x2="0" y2="1">
          <stop offset="0" class="sky-a" />
          <stop offset="1" class="sky-b" />
        </linearGradient>
      </defs>
      <path class="cone" d="M294 66L108 260h424L346 66z" fill="url(#scene-glow)" />
      <path class="cord" d="M320 0v30" />
      <path class="shade" d="M282 64a38 38 0 0 1 76 0z" />
      <rect class="rim" x="274" y="64" width="92" height="8" rx="4" />
      <path class="line" d="M40 128Q320 176 600 128" />
      <g transform="translate(190 193) rotate(4)">
        <path class="peg" d="M-4 -54h8v18h-8z" />
        <rect class="paper" x="-48" y="-40" width="96" height="84" />
        <rect class="picture p1" x="-40" y="-32" width="80" height="60" />
        <path class="hill" d="M-40 28v-16l22-22 18 18 14-10 26 22v8z" />
        <circle class="sun" cx="20" cy="-14" r="7" />
      </g>
      <g transform="translate(320 200) rotate(-1)">
        <path class="peg" d="M-4 -54h8v18h-8z" />
        <rect class="paper" x="-48" y="-40" width="96" height="84" />
        <rect class="picture p2" x="-40" y="-32" width="80" height="60" />
        <path class="hill" d="M-40 28v-10q20-14 40-4t40-8v22z" />
        <circle class="sun" cx="-16" cy="-12" r="9" />
      </g>
      <g transform="translate(450 193) rotate(-5)">
        <path class="peg" d="M-4 -54h8v18h-8z" />
        <rect class="paper" x="-48" y="-40" width="96" height="84" />
        <rect class="picture p3" x="-40" y="-32" width="80" height="60" />
        <path class="hill" d="M-8 28q-2-40 8-40t8 40z" />
        <circle class="sun" cx="0" cy="-16" r="6" />
      </g>
    </svg>
  );
}
