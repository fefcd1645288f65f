import { signal } from "@preact/signals";

const said = signal("");

/** Tell a screen reader, politely. */
export function announce(words: string): void {
  said.value = said.peek() === words ? `${words}\u200b` : words;
}

export function Announcer() {
  return (
    <p class="unseen" role="status" aria-live="polite">
      {said}
    </p>
  );
}
