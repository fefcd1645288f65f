import { ended, type Job } from "../api/types";
import { bytes, percent, t } from "../i18n";
import { online } from "../online";
import { to } from "../router";
import { jobOf, remove, thumbOf, uppy, type Entry } from "../uploads/sheet";
import { Icon } from "./icon";
import { stageWords } from "./state";

/** Where a photo stands, for colour and words. */
export type Look = "exposed" | "developing" | "fixed" | "spoilt" | "gone" | "lost";

export function lookOf(entry: Entry, job: Job | null): Look {
  if (entry.phase === "lost") return "lost";
  if (entry.phase === "failed" || job?.status === "FAILED") return "spoilt";
  if (job?.status === "CANCELED" || job?.status === "EXPIRED") return "gone";
  if (job?.status === "COMPLETED") return "fixed";
  return entry.phase === "sent" ? "developing" : "exposed";
}

/** So many bytes are worth a small picture: a storage in a cloud bills each, and phones wait for them. */
const WORTH = 400_000;

/** Where the smallest rendition lies that a browser shows, if it is small or comes from where this page comes from. */
export function smallRendition(job: Job): string | null {
  const smallest = job.outputs.filter((output) => shows(output.contentType)).sort((a, b) => a.bytes - b.bytes)[0];
  const worth = smallest && (smallest.bytes <= WORTH || new URL(smallest.url).origin === location.origin);
  return worth ? smallest.url : null;
}

/** One photo of the contact sheet. It lies under the red lamp until it is done; then its colours come. */
export function Frame({ entry, number }: { entry: Entry; number: number }) {
  const job = jobOf(entry);
  const look = lookOf(entry, job);
  const thumb = thumbOf(entry.id).value;
  const share = entry.size ? entry.sent / entry.size : 0;
  const picture = thumb ?? (job && smallRendition(job));
  const open = job ? to("jobs", job.jobId) : null;
  return (
    <li class={`frame ${look}`} data-look={look} data-job={entry.jobId ?? undefined}>
      <div class="edge" aria-hidden="true">
        <span>{number}</span>
        <span class="notch" />
        <span>{number}A</span>
      </div>
      <div class="exposure" style={{ "--share": share }}>
        {picture ? <img src={picture} alt="" loading="lazy" decoding="async" /> : <Blank name={entry.name} />}
        {look === "exposed" && <span class="curtain" />}
        {look === "spoilt" && <Icon name="alert" />}
        {look === "fixed" && (
          <span class="tick">
            <Icon name="check" />
          </span>
        )}
      </div>
      <div class="caption">
        <p class="name" title={entry.name}>
          {open ? (
            <a class="cover" href={open}>
              <bdi>{entry.name}</bdi>
            </a>
          ) : (
            <bdi>{entry.name}</bdi>
          )}
        </p>
        <p class="fine" id={`says-${entry.id}`}>
          {says(entry, job)}
        </p>
        {look === "exposed" && (
          <progress class="unseen" aria-label={t("progressOf", { name: entry.name })} max={1} value={share} />
        )}
        <Tools entry={entry} job={job} look={look} />
      </div>
    </li>
  );
}

/** The same file would be refused again for these. */
const HOPELESS = new Set(["type_not_allowed", "too_large", "file_gone"]);

/** In place of a picture: what kind of file it is, by its name. */
export function Blank({ name }: { name: string }) {
  return (
    <span class="blank" aria-hidden="true">
      {(/\.(\w{1,5})$/.exec(name)?.[1] ?? "?").toUpperCase()}
    </span>
  );
}

/** Whether a browser shows this type in a page. */
export const shows = (type: string): boolean => /^image\/(avif|gif|jpeg|png|webp|svg\+xml)$/.test(type);

function says(entry: Entry, job: Job | null) {
  if (!online.value && (entry.phase === "waiting" || entry.phase === "sending")) return t("waitingOnline");
  switch (entry.phase) {
    case "waiting":
      return t(entry.code === "offline" ? "noAnswer" : "waiting");
    case "sending":
      if (entry.code === "offline") return t("noAnswer");
      return `${percent(entry.size ? entry.sent / entry.size : 0)} · ${bytes(entry.size)}`;
    case "paused":
      return t("pausedAt", { share: percent(entry.size ? entry.sent / entry.size : 0) });
    case "lost":
      return t("lost");
    case "failed":
      return <span dir="auto">{entry.error?.message}</span>;
  }
  if (!job) return t("arrived");
  if (job.status === "FAILED") return <span dir="auto">{job.error?.message}</span>;
  if (job.status === "COMPLETED") return t("renditions", { n: job.outputs.length });
  return ended(job.status) ? t(`state${job.status}`) : stageWords(job);
}

function Tools({ entry, job, look }: { entry: Entry; job: Job | null; look: Look }) {
  const { id, name, phase } = entry;
  const moving = phase === "waiting" || phase === "sending";
  return (
    <div class="tools">
      {moving && <Tool icon="pause" label={t("pauseFile", { name })} act={() => uppy.pauseResume(id)} />}
      {phase === "paused" && <Tool icon="play" label={t("resumeFile", { name })} act={() => uppy.pauseResume(id)} />}
      {phase === "failed" && !HOPELESS.has(entry.error?.code ?? "") && <Tool icon="retry" label={t("retryFile", { name })} act={() => void uppy.retryUpload(id)} />}
      {look === "fixed" && job?.downloadUrl && (
        <a class="button quiet small" href={job.downloadUrl} download aria-label={t("downloadFile", { name })} title={t("download")}>
          <Icon name="download" />
        </a>
      )}
      <Tool icon="close" label={t(moving || phase === "paused" ? "giveUpFile" : "removeFile", { name })} act={() => remove(id)} />
    </div>
  );
}

function Tool({ icon, label, act }: { icon: "pause" | "play" | "retry" | "close"; label: string; act: () => void }) {
  return (
    <button type="button" class="button quiet small" aria-label={label} title={label} onClick={act}>
      <Icon name={icon} />
    </button>
  );
}
