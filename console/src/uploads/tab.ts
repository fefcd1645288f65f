// Whose uploads these are. What is kept of them for a reload belongs to one tab at a time: two tabs that recovered the
// same uploads would send everything twice. A tab holds a lock for as long as it lives; what a closed tab left behind
// is taken over by the next new one.

const MINE = "safelight.tab";
const ALL = "safelight.tabs";
/** Milliseconds that a reload waits for the lock of the page before it. */
const PATIENCE = 500;

/** The name under which this tab keeps its uploads. */
export const tab = await claim();

async function claim(): Promise<string> {
  const all = JSON.parse(localStorage.getItem(ALL) ?? "[]") as string[];
  const mine = sessionStorage.getItem(MINE);
  const name = (await held(mine, all)) ?? `safelight-${crypto.randomUUID()}`;
  if (!all.includes(name)) void hold(name, 0);
  sessionStorage.setItem(MINE, name);
  localStorage.setItem(ALL, JSON.stringify([...new Set([...all, name])].slice(-20)));
  return name;
}

async function held(mine: string | null, all: string[]): Promise<string | null> {
  if (mine && (await hold(mine, PATIENCE))) return mine;
  for (const left of all) if (left !== mine && (await hold(left, 0))) return left;
  return null;
}

/** Take a lock until the page goes; false if another has it. Without locks (no secure context) every tab is alone. */
function hold(name: string, patience: number): Promise<boolean> {
  if (!navigator.locks) return Promise.resolve(patience > 0);
  const how: LockOptions = patience > 0 ? { signal: AbortSignal.timeout(patience) } : { ifAvailable: true };
  return new Promise((resolve) => {
    navigator.locks
      .request(name, how, (lock) => {
        resolve(lock !== null);
        return lock ? new Promise(() => undefined) : null;
      })
      .catch(() => resolve(false));
  });
}
