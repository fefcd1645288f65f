// All jobs of this caller, newest first.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { api } from "../api/client";
import { ended, STATES, type Job, type State } from "../api/types";
import { ago, bytes, moment, t } from "../i18n";
import { jobSignal, learn, watch } from "../jobs/watch";
import { Icon } from "../parts/icon";
import { JobThumb } from "../parts/job-thumb";
import { StateMark, stageWords } from "../parts/state";
import { Title } from "../parts/title";
import { Trouble } from "../parts/trouble";
import { to } from "../router";

const LIMIT = 24;

export default function Jobs() {
  const status = useSignal<State | "">("");
  const search = useSignal("");
  const list = useList(status.value, search.value);
  return (
    <div class="page">
      <header class="page-head">
        <Title>
          {t("jobs")}
        </Title>
        <form class="search" role="search" onSubmit={(event) => event.preventDefault()}>
          <Icon name="search" />
          <input
            type="search"
            aria-label={t("searchFiles")}
            placeholder={t("searchFiles")}
            value={search.value}
            onInput={(event) => (search.value = event.currentTarget.value)}
          />
        </form>
      </header>
      <fieldset class="chips">
        <legend class="unseen">{t("filterByState")}</legend>
        {(["", ...STATES] as const).map((state) => (
          <label key={state} class="chip">
            <input type="radio" name="state" checked={status.value === state} onChange={() => (status.value = state)} />
            <span>{state ? t(`state${state}`) : t("all")}</span>
          </label>
        ))}
      </fieldset>
      {list.error !== null && <Trouble error={list.error} again={list.more} />}
      <ul class="jobs" aria-busy={list.busy}>
        {list.items.map((job) => (
          <Row key={job.jobId} first={job} />
        ))}
      </ul>
      {!list.busy && list.items.length === 0 && list.error === null && <Nothing filtered={Boolean(status.value || search.value)} />}
      {list.next && (
        <p class="more">
          <button type="button" class="button" onClick={list.more} disabled={list.busy}>
            {t("more")}
          </button>
        </p>
      )}
    </div>
  );
}

function Nothing({ filtered }: { filtered: boolean }) {
  return (
    <div class="nothing">
      <p>{filtered ? t("noJobsLike") : t("noJobs")}</p>
      {!filtered && (
        <a class="button primary" href={to()}>
          {t("developTitle")}
        </a>
      )}
    </div>
  );
}

function Row({ first }: { first: Job }) {
  const job = jobSignal(first.jobId).value ?? first;
  return (
    <li class="job">
      <JobThumb job={job} />
      <div class="job-words">
        <a class="cover" href={to("jobs", job.jobId)}>
          <bdi>{job.source.filename}</bdi>
        </a>
        <p class="fine">
          {job.error ? <span dir="auto">{job.error.message}</span> : ended(job.status) ? <Facts job={job} /> : stageWords(job)}
        </p>
      </div>
      <StateMark state={job.status} />
      <time class="fine" dateTime={job.createdAt} title={moment(job.createdAt)}>
        {ago(job.createdAt)}
      </time>
    </li>
  );
}

function Facts({ job }: { job: Job }) {
  const { width, height, bytes: size } = job.source;
  const facts = [
    width && height ? `${width} × ${height}` : "",
    size ? bytes(size) : "",
    job.outputs.length ? t("renditions", { n: job.outputs.length }) : "",
    job.recipe.name,
  ];
  return <>{facts.filter(Boolean).join(" · ")}</>;
}

/** The jobs that a filter lets through, page by page. With words to search for, pages are read until enough is found:
 * the names are compared here. */
function useList(status: State | "", words: string) {
  const items = useSignal<Job[]>([]);
  const next = useSignal<string | null>(null);
  const busy = useSignal(true);
  const error = useSignal<unknown>(null);
  const turn = useRef(new AbortController());

  const read = async (from: string | null, signal: AbortSignal): Promise<void> => {
    busy.value = true;
    error.value = null;
    const wanted = words.trim().toLocaleLowerCase();
    let cursor = from;
    let found = 0;
    try {
      do {
        const page = await api.jobs({ status, cursor, limit: wanted ? 100 : LIMIT }, signal);
        const fitting = page.items.filter((job) => job.source.filename.toLocaleLowerCase().includes(wanted));
        for (const job of page.items) {
          learn(job);
          if (!ended(job.status)) watch(job.jobId);
        }
        items.value = [...(cursor ? items.peek() : []), ...fitting];
        found += fitting.length;
        cursor = page.nextCursor;
        next.value = cursor;
      } while (wanted && cursor && found < LIMIT);
    } catch (problem) {
      if (!signal.aborted) error.value = problem;
    } finally {
      if (!signal.aborted) busy.value = false;
    }
  };

  useEffect(() => {
    turn.current.abort();
    turn.current = new AbortController();
    const { signal } = turn.current;
    const timer = setTimeout(() => void read(null, signal), words ? 250 : 0);
    return () => {
      clearTimeout(timer);
      turn.current.abort();
    };
  }, [status, words]);

  return { items: items.value, next: next.value, busy: busy.value, error: error.value, more: () => void read(next.peek(), turn.current.signal) };
}
