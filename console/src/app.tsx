// The frame around every page.

import { useSignal } from "@preact/signals";
import { useEffect, useErrorBoundary, useRef } from "preact/hooks";
import { key, keyWanted } from "./api/config";
import { language, LANGUAGES, speak, t, type Language } from "./i18n";
import { Develop } from "./pages/develop";
import { Announcer } from "./parts/announce";
import { Lamp } from "./parts/brand";
import { Icon } from "./parts/icon";
import { KeyDialog } from "./parts/key";
import { lazily } from "./parts/lazily";
import { Title } from "./parts/title";
import { Trouble } from "./parts/trouble";
import { online } from "./online";
import { path, to, words } from "./router";
import { dark, setTheme, theme } from "./theme";
import { standing } from "./uploads/rate";

const Jobs = lazily(() => import("./pages/jobs"));
const JobPage = lazily(() => import("./pages/job"));
const Recipes = lazily(() => import("./pages/recipes"));
const Operations = lazily(() => import("./pages/operations"));

export function App() {
  const entering = useSignal(false);
  const round = useSignal(0);
  const skip = useRef<HTMLElement>(null);
  useTitle();
  useEffect(() => {
    if (keyWanted.value) entering.value = true;
  }, [keyWanted.value]);
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          skip.current?.focus();
        }}
      >
        {t("skip")}
      </a>
      <Head enter={() => (entering.value = true)} />
      <Connection />
      <main id="main" tabIndex={-1} ref={skip}>
        <Guarded key={`${path.value}-${round.value}`}>
          <Page />
        </Guarded>
      </main>
      <Announcer />
      {entering.value && <KeyDialog close={() => (entering.value = false)} entered={() => (round.value += 1)} />}
    </>
  );
}

function Page() {
  const [first = "", second = ""] = words.value;
  switch (first) {
    case "":
      return <Develop />;
    case "jobs":
      return second ? <JobPage id={second} key={second} /> : <Jobs />;
    case "recipes":
      return <Recipes name={second} />;
    case "operations":
      return <Operations />;
  }
  return (
    <div class="page nothing">
      <Title>
        {t("nothingHere")}
      </Title>
      <a class="button" href={to()}>
        {t("develop")}
      </a>
    </div>
  );
}

/** A page that fails says so, and the rest goes on. */
function Guarded({ children }: { children: preact.ComponentChildren }) {
  const [error, reset] = useErrorBoundary((problem) => console.error(problem));
  return error ? (
    <div class="page">
      <Trouble error={error} again={reset} />
    </div>
  ) : (
    <>{children}</>
  );
}

function Head({ enter }: { enter: () => void }) {
  const at = words.value[0] ?? "";
  const pages = [
    ["", t("develop")],
    ["jobs", t("jobs")],
    ["recipes", t("recipes")],
    ["operations", t("operations")],
  ] as const;
  return (
    <header class="head">
      <a class="brand" href={to()}>
        <Lamp lit={standing.value !== null} />
        <span>Safelight</span>
      </a>
      <nav aria-label={t("pages")}>
        {pages.map(([name, label]) => (
          <a key={name} href={name ? to(name) : to()} aria-current={at === name ? "page" : undefined}>
            {label}
          </a>
        ))}
      </nav>
      <div class="settings">
        <label class="language">
          <Icon name="language" />
          <span class="unseen">{t("language")}</span>
          <select value={language.value} onChange={(event) => void speak(event.currentTarget.value as Language, true)}>
            {Object.entries(LANGUAGES).map(([tag, name]) => (
              <option key={tag} value={tag} lang={tag}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <ThemeButton />
        <button type="button" class="button quiet small" aria-label={t("apiKey")} title={t("apiKey")} onClick={enter}>
          <Icon name="key" />
          {key.value && <span class="dot" />}
        </button>
      </div>
    </header>
  );
}

function ThemeButton() {
  const next = dark() ? "light" : "dark";
  const label = t(next === "light" ? "goLight" : "goDark");
  return (
    <button type="button" class="button quiet small" aria-label={label} title={label} data-theme-now={theme.value} onClick={() => setTheme(next)}>
      <Icon name={next === "light" ? "sun" : "moon"} />
    </button>
  );
}

/** A line that is there only while the network is not. */
function Connection() {
  return (
    <div role="status" aria-live="polite">
      {!online.value && <p class="offline">{t("offlineWords")}</p>}
    </div>
  );
}

/** Each page has its title. */
function useTitle(): void {
  const name = words.value[0] ?? "";
  useEffect(() => {
    const titles: Record<string, string> = { "": t("develop"), jobs: t("jobs"), recipes: t("recipes"), operations: t("operations") };
    document.title = `${titles[name] ?? t("nothingHere")} · Safelight`;
  }, [name, language.value]);
}
