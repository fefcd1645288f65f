// One job: what came out of it, how it went, and what can be done with it.

import { useSignal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { api, Problem } from "../api/client";
import { ended, type Job, type Output } from "../api/types";
import { bytes, moment, t } from "../i18n";
import { jobSignal, learn, watch } from "../jobs/watch";
import { announce } from "../parts/announce";
import { Compare } from "../parts/compare";
import { Confirm } from "../parts/dialog";
import { shows } from "../parts/frame";
import { Icon } from "../parts/icon";
import { Outputs } from "../parts/outputs";
import { Shell } from "../parts/shell";
import { StateMark, stageWords } from "../parts/state";
import { Timeline } from "../parts/timeline";
import { Title } from "../parts/title";
import { Trouble } from "../parts/trouble";
import { go, to } from "../router";
import { forget, kept } from "../uploads/prints";
import { entries, remove } from "../uploads/sheet";
import { useBlobUrl, useLoaded } from "../use";

export default function JobPage({ id }: { id: string }) {
  const loaded = useLoaded(async (signal) => {
    const job = await api.job(id, signal);
    learn(job);
    if (!ended(job.status)) watch(id);
    return job;
  }, [id]);
  const job = jobSignal(id).value ?? loaded.value;
  if (!job) {
    return (
      <div class="page">
        <Title unseen={!loaded.error}>
          {loaded.error instanceof Problem && loaded.error.status === 404 ? t("noSuchJob") : t("job")}
        </Title>
        {loaded.error ? <Trouble error={loaded.error} again={loaded.again} /> : <p class="skeleton" aria-busy="true" />}
      </div>
    );
  }
  return (
    <div class="page job-page">
      <header class="page-head">
        <div>
          <p class="crumb">
            <a href={to("jobs")}>{t("jobs")}</a>
          </p>
          <Title>
            <bdi>{job.source.filename}</bdi>
          </Title>
          <p class="fine">
            <StateMark state={job.status} /> {!ended(job.status) && stageWords(job)} <time dateTime={job.createdAt}>{moment(job.createdAt)}</time>
          </p>
        </div>
        <Actions job={job} />
      </header>
      <div class="job-columns">
        <div class="stage">
          <Picture job={job} />
        </div>
        <div class="details">
          {job.error && (
            <div class="trouble" role="alert">
              <Icon name="alert" />
              <div>
                <p dir="auto">{job.error.message}</p>
                <p class="fine">
                  <code>{job.error.code}</code> · {t("attempts", { n: job.attempt })}
                </p>
              </div>
            </div>
          )}
          {job.outputs.length > 0 && <Outputs job={job} />}
          <Original job={job} />
          <Timeline job={job} />
          <Shell job={job} />
        </div>
      </div>
    </div>
  );
}

function Picture({ job }: { job: Job }) {
  const choice = useSignal("");
  const [print, setPrint] = useState<Blob | null>(null);
  useEffect(() => {
    let gone = false;
    const look = async (): Promise<void> => {
      const found = (await kept(job.jobId)) ?? (job.renderedFrom ? await kept(job.renderedFrom) : null);
      if (!gone) setPrint(found?.print ?? null);
    };
    void look();
    return () => {
      gone = true;
    };
  }, [job.jobId, job.status]);
  const before = useBlobUrl(print);
  const shown = job.outputs.filter((output) => shows(output.contentType));
  const output = shown.find((each) => each.name === choice.value) ?? shown.find((each) => each.primary) ?? shown[0];
  if (!output) {
    return (
      <div class={`print ${ended(job.status) ? "spoilt" : "developing"}`}>
        {before ? <img src={before} alt={t("beforeOf", { name: job.source.filename })} /> : <span class="blank" aria-hidden="true">{job.source.format ?? "?"}</span>}
      </div>
    );
  }
  return (
    <>
      {before && alike(job, output) ? (
        <Compare key={output.name} before={before} after={output.url} width={output.width} height={output.height} name={job.source.filename} />
      ) : (
        <Beside before={before} output={output} name={job.source.filename} />
      )}
      {shown.length > 1 && (
        <fieldset class="chips center">
          <legend class="unseen">{t("shownOutput")}</legend>
          {shown.map((each) => (
            <label key={each.name} class="chip">
              <input type="radio" name="output" checked={each === output} onChange={() => (choice.value = each.name)} />
              <span>{each.name}</span>
            </label>
          ))}
        </fieldset>
      )}
    </>
  );
}

/** A picture of another shape than its original: one beside the other. */
function Beside({ before, output, name }: { before: string | null; output: Output; name: string }) {
  return (
    <div class={before ? "beside two" : "beside"}>
      {before && (
        <figure>
          <img src={before} alt={t("beforeOf", { name })} decoding="async" />
          <figcaption class="fine">{t("before")}</figcaption>
        </figure>
      )}
      <figure>
        <img src={output.url} width={output.width} height={output.height} alt={t("afterOf", { name })} decoding="async" />
        <figcaption class="fine">{before ? t("after") : output.name}</figcaption>
      </figure>
    </div>
  );
}

/** Whether a rendition has the shape of its original, so that one can lie on the other. */
function alike(job: Job, output: Output): boolean {
  const { width, height } = job.source;
  if (!width || !height) return true;
  const [a, b] = [width / height, output.width / output.height];
  // The camera's orientation may have been applied: then width and height have changed places.
  return Math.abs(a / b - 1) < 0.02 || Math.abs(1 / a / b - 1) < 0.02;
}

function Original({ job }: { job: Job }) {
  const { source } = job;
  const facts: [string, string | null][] = [
    [t("recipe"), job.recipe.name],
    [t("format"), source.contentType ?? source.format],
    [t("dimensions"), source.width && source.height ? `${source.width} × ${source.height}` : null],
    [t("size"), source.bytes ? bytes(source.bytes) : null],
    [t("keptUntil"), job.expiresAt ? moment(job.expiresAt) : null],
  ];
  return (
    <section aria-labelledby="original-title">
      <h2 id="original-title">{t("original")}</h2>
      <dl class="facts">
        {facts.map(
          ([name, value]) =>
            value && (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ),
        )}
        <div>
          <dt>{t("jobId")}</dt>
          <dd>
            <code>{job.jobId}</code>
          </dd>
        </div>
      </dl>
    </section>
  );
}

function Actions({ job }: { job: Job }) {
  const asking = useSignal(false);
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  const act = async (what: () => Promise<Job | Response>, done: string): Promise<void> => {
    busy.value = true;
    error.value = null;
    try {
      const answer = await what();
      if ("jobId" in answer) {
        learn(answer);
        if (!ended(answer.status)) watch(answer.jobId);
      }
      announce(done);
    } catch (problem) {
      error.value = problem;
    } finally {
      busy.value = false;
    }
  };
  const erase = async (): Promise<void> => {
    asking.value = false;
    await act(() => api.remove(job.jobId), t("deleted"));
    if (error.peek()) return;
    const entry = entries.peek().find((each) => each.jobId === job.jobId);
    if (entry) remove(entry.id);
    await forget(job.jobId);
    go("jobs");
  };
  const retriable = job.status === "FAILED" || job.status === "CANCELED";
  return (
    <div class="actions">
      {job.downloadUrl && (
        <a class="button primary" href={job.downloadUrl} download>
          <Icon name="download" /> {t("download")}
        </a>
      )}
      {retriable && (
        <button type="button" class="button" disabled={busy.value} onClick={() => void act(() => api.retry(job.jobId), t("retried"))}>
          <Icon name="retry" /> {t("retry")}
        </button>
      )}
      {!ended(job.status) && (
        <button type="button" class="button" disabled={busy.value} onClick={() => void act(() => api.cancel(job.jobId), t("stateCANCELED"))}>
          <Icon name="stop" /> {t("cancel")}
        </button>
      )}
      <button type="button" class="button quiet" disabled={busy.value} onClick={() => (asking.value = true)}>
        <Icon name="trash" /> {t("delete")}
      </button>
      {error.value !== null && <Trouble error={error.value} />}
      {asking.value && (
        <Confirm
          title={t("deleteTitle")}
          words={t("deleteWords", { name: job.source.filename })}
          action={t("delete")}
          yes={() => void erase()}
          no={() => (asking.value = false)}
        />
      )}
    </div>
  );
}
