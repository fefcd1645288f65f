// Recipes: the server's to look at, one's own to write, and each on a photo before anything is queued.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { api } from "../api/client";
import { t } from "../i18n";
import { announce } from "../parts/announce";
import { Icon } from "../parts/icon";
import { Preview } from "../parts/preview";
import { Title } from "../parts/title";
import { Trouble } from "../parts/trouble";
import { choose, chosen, discard, load, named, own, save } from "../recipes/chosen";
import { edit, type Editor, type Placed } from "../recipes/editor";
import { checker, type Mistake } from "../recipes/validate";
import { go, to } from "../router";
import { useLoaded } from "../use";

const START = JSON.stringify(
  {
    version: 1,
    steps: { small: { op: "resize", width: 1200, height: 1200 } },
    outputs: { web: { use: "small", format: "webp", quality: 80 } },
  },
  null,
  2,
);

export default function RecipesPage({ name }: { name: string }) {
  const loaded = useLoaded(async () => {
    const [schema] = await Promise.all([api.schema(), load()]);
    return { schema, check: checker(schema) };
  }, []);
  const recipes = named.value;
  const wanted = name || recipes?.default || "";
  return (
    <div class="page recipes-page">
      <header class="page-head">
        <div>
          <Title>
            {t("recipes")}
          </Title>
          <p class="fine">{t("recipesLead")}</p>
        </div>
        <a class="button" href={to("recipes", "own:new")}>
          <Icon name="add" /> {t("newRecipe")}
        </a>
      </header>
      {loaded.error !== null && <Trouble error={loaded.error} again={loaded.again} />}
      <nav class="chips" aria-label={t("recipes")}>
        {recipes?.items.map((item) => <Tab key={item.name} name={item.name} at={wanted} />)}
        {Object.keys(own.value).map((each) => (
          <Tab key={`own:${each}`} name={`own:${each}`} at={wanted} />
        ))}
      </nav>
      {loaded.value && recipes && <Bench key={wanted} name={wanted} schema={loaded.value.schema} check={loaded.value.check} />}
    </div>
  );
}

function Tab({ name, at }: { name: string; at: string }) {
  const mine = name.startsWith("own:");
  return (
    <a class={mine ? "chip own" : "chip"} href={to("recipes", name)} aria-current={name === at ? "page" : undefined}>
      <span>
        <bdi>{mine ? name.slice(4) : name}</bdi>
        {chosen.value === name && <Icon name="check" />}
      </span>
    </a>
  );
}

/** The text of a recipe to begin with. */
function textOf(name: string): string {
  if (name.startsWith("own:")) return own.peek()[name.slice(4)] ?? START;
  const found = named.peek()?.items.find((item) => item.name === name);
  return found ? JSON.stringify(inReadingOrder(found.recipe), null, 2) : START;
}

const FIRST = ["version", "limits", "steps", "chain", "outputs", "op", "use"];

/** The same with what one reads first at first: the API answers in the order of the alphabet. */
function inReadingOrder(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const rank = (key: string): number => (FIRST.includes(key) ? FIRST.indexOf(key) : FIRST.length);
  const entries = Object.entries(value).map(([key, inside], index) => ({ key, inside, index }));
  entries.sort((a, b) => rank(a.key) - rank(b.key) || a.index - b.index);
  return Object.fromEntries(entries.map(({ key, inside }) => [key, inReadingOrder(inside)]));
}

function Bench({ name, schema, check }: { name: string; schema: Record<string, unknown>; check: (recipe: unknown) => Mistake[] }) {
  const mine = name.startsWith("own:");
  const text = useSignal(textOf(name));
  const touched = useSignal(false);
  const placed = useSignal<Placed[]>([]);
  const title = useSignal(mine && name !== "own:new" ? name.slice(4) : "");
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor | null>(null);

  const look = (): void => {
    let mistakes: Mistake[] = [];
    try {
      mistakes = check(JSON.parse(text.peek()));
    } catch {
      // The editor finds the place where the JSON ends to be JSON.
    }
    placed.value = editor.current?.show(mistakes) ?? [];
  };
  useEffect(() => {
    if (!host.current) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    editor.current = edit(host.current, text.peek(), schema, t("recipeText"), (now, typed) => {
      text.value = now;
      touched.value ||= typed;
      clearTimeout(timer);
      timer = setTimeout(look, 200);
    });
    look();
    return () => {
      clearTimeout(timer);
      editor.current?.close();
    };
  }, []);

  const good = placed.value.length === 0;
  const keep = (): void => {
    save(title.value, text.value);
    choose(`own:${title.value}`);
    announce(t("recipeKept"));
    go("recipes", `own:${title.value}`);
  };
  return (
    <div class="bench">
      <section class="writing" aria-label={t("recipeText")}>
        <div class="editor" ref={host} />
        <Mistakes placed={placed.value} visit={(mistake) => editor.current?.visit(mistake)} />
        <form
          class="keep"
          onSubmit={(event) => {
            event.preventDefault();
            keep();
          }}
        >
          {touched.value || (mine && !(name.slice(4) in own.value)) ? (
            <>
              <label class="field">
                <span>{t("recipeName")}</span>
                <input required pattern="[a-z][a-z0-9_\-]{0,39}" maxLength={40} value={title.value} placeholder={t("recipeNameHint")} onInput={(event) => (title.value = event.currentTarget.value)} />
              </label>
              <button type="submit" class="button primary" disabled={!good || !title.value}>
                {t("keepAndUse")}
              </button>
            </>
          ) : chosen.value === name || (!chosen.value && name === named.value?.default) ? (
            <p class="good">
              <Icon name="check" /> {t("inUse")}
            </p>
          ) : (
            <button type="button" class="button primary" onClick={() => choose(name)}>
              {t("useRecipe")}
            </button>
          )}
          {mine && name.slice(4) in own.value && (
            <button
              type="button"
              class="button quiet"
              onClick={() => {
                discard(name.slice(4));
                go("recipes");
              }}
            >
              <Icon name="trash" /> {t("delete")}
            </button>
          )}
        </form>
      </section>
      <Preview text={text.value} good={good} />
    </div>
  );
}

function Mistakes({ placed, visit }: { placed: Placed[]; visit: (mistake: Placed) => void }) {
  if (placed.length === 0) {
    return (
      <p class="good fine" role="status">
        <Icon name="check" /> {t("recipeValid")}
      </p>
    );
  }
  return (
    <ul class="mistakes" aria-live="polite" aria-label={t("mistakes", { n: placed.length })}>
      {placed.map((mistake) => (
        <li key={`${mistake.from}${mistake.message}`}>
          <button type="button" onClick={() => visit(mistake)}>
            <span class="where">{t("line", { line: mistake.line })}</span>
            <span dir="auto">{mistake.message}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}
