const SHAPES = {
  add: "M12 5v14M5 12h14",
  ahead: "M9 5l7 7-7 7",
  alert: "M12 8v5M12 16.5v.01M12 3.5l9 16H3z",
  auto: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  camera: "M4 8h3.2l1.5-2.5h6.6L16.8 8H20v11H4zM12 16.2a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4",
  check: "M5 12.5l4.5 4.5L19 7.5",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18M12 7v5l3.5 2",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9V4h11v11h-5M4 9h11v11H4z",
  download: "M12 4v11M7 10.5l5 5 5-5M5 20h14",
  folder: "M3 6.5h6l2 2.5h10v10H3z",
  key: "M8 19.5a4 4 0 1 0 0-8 4 4 0 0 0 0 8M11 12.5L20 3.5M16.5 7l3 3",
  language: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18M3.5 12h17M12 3c3 3 3.6 6 3.6 9s-.6 6-3.6 9c-3-3-3.6-6-3.6-9S9 6 12 3",
  moon: "M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10",
  open: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
  pause: "M8.5 5v14M15.5 5v14",
  play: "M8 5l11 7-11 7z",
  retry: "M20 12a8 8 0 1 1-2.5-5.8M20 3v4.5h-4.5",
  search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13M15.5 15.5L20 20",
  stop: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18M8.5 8.5l7 7",
  sun: "M12 16.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4",
  trash: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
  upload: "M12 19V7M7 11.5l5-5 5 5M5 21h14",
} as const;

export type IconName = keyof typeof SHAPES;

/** A line drawing beside words. `turns` mirrors it where the page reads from right to left. */
export function Icon({ name, turns = false }: { name: IconName; turns?: boolean }) {
  return (
    <svg class={turns ? "icon turns" : "icon"} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={SHAPES[name]} />
    </svg>
  );
}
