import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Problem } from "../api/client";
import { t } from "../i18n";
import { Trouble } from "./trouble";

/** A part that is fetched when it is first shown. When nothing answers it says so, and can be tried again. */
export function lazily<P extends object>(fetched: () => Promise<{ default: ComponentType<P> }>): ComponentType<P> {
  let known: ComponentType<P> | null = null;
  return function Lazily(props: P) {
    const [failed, setFailed] = useState(false);
    const [round, setRound] = useState(0);
    const [, setReady] = useState(known !== null);
    useEffect(() => {
      if (known) return;
      let gone = false;
      setFailed(false);
      fetched().then(
        (module) => {
          known = module.default;
          if (!gone) setReady(true);
        },
        () => !gone && setFailed(true),
      );
      return () => {
        gone = true;
      };
    }, [round]);
    const Known = known;
    if (Known) return <Known {...props} />;
    if (!failed) return <p class="skeleton" aria-busy="true" />;
    return (
      <div class="page">
        <Trouble error={new Problem(t("noAnswer"), "offline")} again={() => setRound((n) => n + 1)} />
      </div>
    );
  };
}
