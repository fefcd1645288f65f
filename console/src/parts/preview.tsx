import { useEffect, useRef, useState } from "preact/hooks";
import { api, Problem } from "../api/client";
import { bytes, t } from "../i18n";
import { within } from "../uploads/prints";
import { anyPrint } from "../uploads/sheet";
import { useBlobUrl } from "../use";
import { Icon } from "./icon";
import { Trouble } from "./trouble";

const MOST = 900_000;
const SETTLE = 500;

interface Props {
  text: string;
  /** Whether the recipe has no mistake that was found here. */
  good: boolean;
}

/** A recipe on a photo, without a job: a small copy goes to the API, the rendition comes back. */
export function Preview({ text, good }: Props) {
  const [photo, setPhoto] = useState<Blob | null>(null);
  const [output, setOutput] = useState("");
  const [result, setResult] = useState<Blob | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const stop = useRef(new AbortController());
  const names = outputsOf(text);

  useEffect(() => void anyPrint().then((print) => print && setPhoto((had) => had ?? print)), []);
  useEffect(() => {
    if (!photo || !good) return;
    const timer = setTimeout(() => void render(photo), SETTLE);
    return () => {
      clearTimeout(timer);
      stop.current.abort();
    };
  }, [photo, text, good, output]);

  const render = async (file: Blob): Promise<void> => {
    stop.current = new AbortController();
    const { signal } = stop.current;
    setBusy(true);
    try {
      const form = new FormData();
      form.set("recipe", text); // not its name: what is seen is what is drawn, whoever owns it
      if (names.includes(output)) form.set("output", output);
      form.set("file", await small(file), "preview.jpg");
      setResult(await api.preview(form, signal));
      setError(null);
    } catch (problem) {
      if (!signal.aborted) setError(problem);
    } finally {
      if (!signal.aborted) setBusy(false);
    }
  };

  const before = useBlobUrl(photo);
  const after = useBlobUrl(result);
  const missing = error instanceof Problem && (error.status === 404 || error.status === 405) && error.code !== "unknown_recipe";
  return (
    <section class="preview" aria-labelledby="preview-title" aria-busy={busy}>
      <header class="section-head">
        <h2 id="preview-title">{t("preview")}</h2>
        <label class="button small file">
          <Icon name="add" /> {t(photo ? "otherPhoto" : "choosePhoto")}
          <input type="file" accept="image/*" class="unseen" onChange={(event) => event.currentTarget.files?.[0] && setPhoto(event.currentTarget.files[0])} />
        </label>
      </header>
      {!photo && <p class="nothing">{t("previewLead")}</p>}
      {before && (
        <div class={`beside ${after ? "two" : ""} ${busy ? "busy" : ""}`}>
          <figure>
            <img src={before} alt={t("before")} />
            <figcaption class="fine">{t("before")}</figcaption>
          </figure>
          {after && (
            <figure>
              <img src={after} alt={t("after")} />
              <figcaption class="fine">
                {t("after")} · {result && `${result.type.replace("image/", "")} · ${bytes(result.size)}`}
              </figcaption>
            </figure>
          )}
        </div>
      )}
      {names.length > 1 && (
        <label class="field">
          <span>{t("shownOutput")}</span>
          <select value={output || names[0]} onChange={(event) => setOutput(event.currentTarget.value)}>
            {names.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </label>
      )}
      {missing ? <p class="fine">{t("noPreviewHere")}</p> : error !== null && good && <Trouble error={error} />}
      <p class="fine">{t("previewFine")}</p>
    </section>
  );
}

async function small(file: Blob): Promise<Blob> {
  try {
    return await within(file, MOST);
  } catch {
    throw new Problem(t("notAPhoto"), "not_a_photo", 415);
  }
}

function outputsOf(text: string): string[] {
  try {
    const { outputs } = JSON.parse(text) as { outputs?: Record<string, unknown> };
    return Object.keys(outputs ?? {});
  } catch {
    return [];
  }
}
