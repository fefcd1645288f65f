import { useCallback, useEffect, useRef, useState } from "preact/hooks";

export interface Loaded<T> {
  value: T | null;
  error: unknown;
  again: () => void;
}

/** What a call gives, loaded once and whenever `about` changes; with `every` (milliseconds) again and again while the
 * page is to be seen. An older answer never replaces a newer one. */
export function useLoaded<T>(load: (signal: AbortSignal) => Promise<T>, about: unknown[], every = 0): Loaded<T> {
  const [state, setState] = useState<{ value: T | null; error: unknown }>({ value: null, error: null });
  const [round, setRound] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = (): void => {
      latest
        .current(stop.signal)
        .then((value) => !stop.signal.aborted && setState({ value, error: null }))
        .catch((error: unknown) => !stop.signal.aborted && setState((had) => ({ value: had.value, error })))
        .finally(() => {
          if (every && !stop.signal.aborted) timer = setTimeout(seen, every);
        });
    };
    const seen = (): void => {
      if (document.visibilityState === "visible") look();
      else document.addEventListener("visibilitychange", seen, { once: true, signal: stop.signal });
    };
    look();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [...about, round]);
  return { ...state, again: useCallback(() => setRound((n) => n + 1), []) };
}

/** The object URL of a blob, for as long as it is shown. */
export function useBlobUrl(blob: Blob | null): string | null {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    if (!blob) return setUrl(null);
    const made = URL.createObjectURL(blob);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [blob]);
  return url;
}
