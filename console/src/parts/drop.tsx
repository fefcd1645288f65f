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

/** The prints on the line: where each hangs, how it is turned, and how far it has come. */
const PRINTS = [
  { x: 96, y: 176, turn: 6, shown: 0.06, shape: "M-40 24l24-30 20 20 16-14 20 18v10h-80z" },
  { x: 228, y: 190, turn: -2, shown: 0.3, shape: "M-40 28v-14q20-16 40-4t40-10v28z" },
  { x: 360, y: 195, turn: 1.5, shown: 0.55, shape: "M-40 28v-8l18-26 14 16 12-10 36 22v6z" },
  { x: 492, y: 190, turn: -3, shown: 0.8, shape: "M-40 28v-20q26 8 40-6t40 2v24z" },
  { x: 624, y: 176, turn: 4, shown: 1, shape: "M-40 28v-12l22-22 18 18 14-10 26 22v4z" },
];

/** The darkroom: under the lamp, prints on a line come out one after the other. */
export function Scene() {
  return (
    <svg class="scene" viewBox="0 0 720 268" aria-hidden="true" focusable="false">
      <defs>
        <radialGradient id="scene-pool">
          <stop offset="0" class="pool-in" />
          <stop offset="1" class="pool-out" />
        </radialGradient>
        <linearGradient id="scene-beam" x1="0" y1="0" x2="0" y2="1">
          <stop offset="0" class="beam-in" />
          <stop offset="1" class="pool-out" />
        </linearGradient>
      </defs>
      <ellipse class="pool" cx="360" cy="150" rx="420" ry="150" fill="url(#scene-pool)" />
      <path class="beam" d="M326 84L150 262h420L394 84z" fill="url(#scene-beam)" />
      <path class="cord" d="M360 0v48" />
      <path class="shade" d="M322 82a38 38 0 0 1 76 0z" />
      <rect class="rim" x="314" y="82" width="92" height="8" rx="4" />
      <path class="line" d="M0 104Q360 196 720 104" />
      {PRINTS.map(({ x, y, turn, shown, shape }, index) => (
        <g key={x} transform={`translate(${x} ${y}) rotate(${turn})`}>
          <rect class="paper" x="-48" y="-40" width="96" height="86" rx="1" />
          <g class="latent" style={{ "--shown": shown, "--turn": index }}>
            <rect class="sky" x="-40" y="-32" width="80" height="60" />
            <circle class="sun" cx={18 - index * 9} cy={-10 - (index % 2) * 5} r="7" />
            <path class="hill" d={shape} />
          </g>
          <rect class="peg" x="-4" y="-50" width="8" height="20" rx="2" />
        </g>
      ))}
    </svg>
  );
}
