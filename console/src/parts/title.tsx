import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { path } from "../router";

let arrived = path.peek();
let wanted = false;

/** A page's heading. Whoever comes from another page begins here, by keyboard and by screen reader. */
export function Title({ children, unseen = false }: { children: ComponentChildren; unseen?: boolean }) {
  const heading = useRef<HTMLHeadingElement>(null);
  const at = path.value;
  useEffect(() => {
    if (arrived !== at) {
      arrived = at;
      wanted = true;
      window.scrollTo(0, 0);
    }
    // A heading may be replaced when its page has loaded; the focus that it had is then nowhere.
    if (!wanted && document.activeElement !== document.body) return;
    if (wanted || at !== FIRST) heading.current?.focus({ preventScroll: true });
    wanted = false;
  }, [at]);
  return (
    <h1 id="title" tabIndex={-1} ref={heading} class={unseen ? "unseen" : ""}>
      {children}
    </h1>
  );
}

const FIRST = path.peek();
