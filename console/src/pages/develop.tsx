// The darkroom: photos come in here, and come out developed.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { lazy, Suspense } from "preact/compat";
import { t } from "../i18n";
import { Frame } from "../parts/frame";
import { Icon } from "../parts/icon";
import { RecipePicker } from "../parts/recipe-picker";
import { Standing } from "../parts/standing";
import { chosenRecipe } from "../recipes/chosen";
import { add, clear, entries, jobOf, refusals } from "../uploads/sheet";
import { Title } from "../parts/title";
import { Drop, Scene } from "../parts/drop";
import { ended } from "../api/types";

const Camera = lazy(() => import("../parts/camera"));

export function Develop() {
  const camera = useSignal(false);
  const take = (files: Iterable<File>): void => add(files, chosenRecipe());
  usePaste(take);
  const sheet = entries.value;
  const empty = sheet.length === 0;
  const finished = sheet.filter((entry) => entry.phase === "failed" || (jobOf(entry) && ended(jobOf(entry)!.status))).length;
  return (
    <div class={empty ? "develop empty" : "develop"}>
      <Drop take={take}>
        {empty && <Scene />}
        <div class="invite">
          <Title>
            {empty ? t("developTitle") : t("developMore")}
          </Title>
          {empty && <p class="lead">{t("developLead")}</p>}
        </div>
        <div class="chooser">
          <FileButton take={take} folder={false} />
          <FileButton take={take} folder={true} />
          <button type="button" class="button" onClick={() => (camera.value = true)}>
            <Icon name="camera" /> {t("camera")}
          </button>
          <RecipePicker />
        </div>
        {empty && <p class="fine">{t("developHint")}</p>}
      </Drop>
      {refusals.value.map((words) => (
        <p class="trouble" role="alert" key={words}>
          <Icon name="alert" /> <span dir="auto">{words}</span>
        </p>
      ))}
      {!empty && (
        <section class="sheet" aria-labelledby="sheet-title">
          <header class="section-head">
            <h2 id="sheet-title">{t("sheet")}</h2>
            <p class="fine">{t("photos", { n: sheet.length })}</p>
            {finished > 0 && (
              <button type="button" class="button quiet small" onClick={clear}>
                {t("clearSheet")}
              </button>
            )}
          </header>
          <ol class="frames">
            {sheet.map((entry, index) => (
              <Frame key={entry.id} entry={entry} number={index + 1} />
            ))}
          </ol>
        </section>
      )}
      <Standing />
      {camera.value && (
        <Suspense fallback={null}>
          <Camera take={take} close={() => (camera.value = false)} />
        </Suspense>
      )}
    </div>
  );
}

function FileButton({ take, folder }: { take: (files: Iterable<File>) => void; folder: boolean }) {
  const label = folder ? t("chooseFolder") : t("choosePhotos");
  return (
    <label class={folder ? "button file" : "button primary file"}>
      <Icon name={folder ? "folder" : "add"} /> {label}
      <input
        type="file"
        class="unseen"
        multiple
        {...(folder ? { webkitdirectory: true } : { accept: "image/*,.heic,.avif" })}
        onChange={(event) => {
          const input = event.currentTarget;
          take([...(input.files ?? [])].filter((file) => !file.name.startsWith(".")));
          input.value = "";
        }}
      />
    </label>
  );
}

/** Take pictures from the clipboard, wherever they are pasted. */
function usePaste(take: (files: Iterable<File>) => void): void {
  useEffect(() => {
    const paste = (event: ClipboardEvent): void => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length === 0) return;
      event.preventDefault();
      take(files);
    };
    document.addEventListener("paste", paste);
    return () => document.removeEventListener("paste", paste);
  }, []);
}
