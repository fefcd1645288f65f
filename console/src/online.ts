import { signal } from "@preact/signals";

/** Whether the browser has a network, as far as it knows. */
export const online = signal(navigator.onLine);

for (const name of ["online", "offline"]) {
  window.addEventListener(name, () => {
    online.value = navigator.onLine;
  });
}
