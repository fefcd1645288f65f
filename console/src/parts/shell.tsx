import { apiAddress, key } from "../api/config";
import type { Job } from "../api/types";
import { t } from "../i18n";
import { uploadOf } from "../uploads/sheet";
import { Copy } from "./copy";

/** The very same by curl: for a script, or for believing it. */
export function Shell({ job }: { job: Job }) {
  const text = commands(job);
  return (
    <section aria-labelledby="shell-title" class="shell">
      <header class="section-head">
        <h2 id="shell-title">{t("byCurl")}</h2>
        <Copy text={text} label={t("copyCommands")} />
      </header>
      <pre dir="ltr" tabIndex={0} aria-labelledby="shell-title">
        <code>{text}</code>
      </pre>
    </section>
  );
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** What was done, as commands that do it again. A key is named, never shown. */
function commands(job: Job): string {
  const base = apiAddress();
  const auth = key.value ? ` -H "Authorization: Bearer $SAFELIGHT_KEY"` : "";
  const upload = uploadOf(job.jobId);
  const name = job.source.filename;
  const type = upload?.type || job.source.contentType;
  // A recipe that was sent and not named is known by its content only where it was sent.
  const called = job.recipe.name === "inline" ? null : job.recipe.name;
  const recipe = upload ? upload.recipe : called;
  if (job.renderedFrom && !upload) {
    const again = JSON.stringify({ from: job.renderedFrom, ...(called ? { recipe: called } : {}) });
    return `curl -s${auth} ${base}/jobs -d ${quoted(again)}\ncurl -s${auth} ${base}/jobs/${job.jobId}`;
  }
  const body = JSON.stringify({ filename: name, ...(type ? { contentType: type } : {}), ...(recipe ? { recipe } : {}) });
  return [
    `answer=$(curl -s${auth} ${base}/uploads -d ${quoted(body)})`,
    `curl -s -X PUT "$(jq -r .uploadUrl <<<"$answer")"${type ? ` -H ${quoted(`Content-Type: ${type}`)}` : ""} --data-binary @${quoted(name)}`,
    `curl -s${auth} "$(jq -r .statusUrl <<<"$answer")"`,
  ].join("\n");
}
