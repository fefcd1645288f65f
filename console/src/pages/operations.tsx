// The operator's view: the queue, the workers, what fails, and what was given up.

import { useSignal } from "@preact/signals";
import { api, Problem } from "../api/client";
import { STATES, type Operations as View } from "../api/types";
import { ago, duration, number, t } from "../i18n";
import { announce } from "../parts/announce";
import { Icon } from "../parts/icon";
import { StateMark } from "../parts/state";
import { Throughput } from "../parts/throughput";
import { Title } from "../parts/title";
import { Trouble } from "../parts/trouble";
import { to } from "../router";
import { useLoaded } from "../use";

const LOOK_EVERY = 3000;

export default function Operations() {
  const loaded = useLoaded((signal) => api.operations(signal), [], LOOK_EVERY);
  const view = loaded.value;
  const { error } = loaded;
  const absent = error instanceof Problem && error.status === 404;
  return (
    <div class="page">
      <header class="page-head">
        <Title>
          {t("operations")}
        </Title>
        <p class="fine">{t("operationsLead")}</p>
      </header>
      {absent ? <p class="nothing">{t("noOperations")}</p> : error !== null && <Trouble error={error} again={loaded.again} />}
      {view && <Board view={view} again={loaded.again} />}
    </div>
  );
}

function Board({ view, again }: { view: View; again: () => void }) {
  const { queue, workers, deadLetters } = view;
  return (
    <>
      <dl class="tiles">
        <Tile name={t("queueLength")} value={number(queue.depth)} />
        <Tile name={t("oldestWaits")} value={queue.oldestAgeSeconds ? duration(queue.oldestAgeSeconds) : "–"} warn={(queue.oldestAgeSeconds ?? 0) > 60} />
        <Tile name={t("workersBusy")} value={number(workers.length)} />
        <Tile name={t("deadLetters")} value={number(deadLetters.count)} warn={deadLetters.count > 0} />
      </dl>
      <Throughput told={view.throughput} />
      <div class="board">
        <States counts={view.jobs} />
        <Failures view={view} />
        <Workers workers={workers} />
        <DeadLetters count={deadLetters.count} again={again} />
      </div>
    </>
  );
}

function Tile({ name, value, note = "", warn = false }: { name: string; value: string; note?: string; warn?: boolean }) {
  return (
    <div class={warn ? "tile warn" : "tile"}>
      <dt>{name}</dt>
      <dd>
        {value} {note && <span class="fine">{note}</span>}
      </dd>
    </div>
  );
}

function States({ counts }: { counts: View["jobs"] }) {
  const most = Math.max(1, ...STATES.map((state) => counts[state] ?? 0));
  return (
    <section class="card" aria-labelledby="states-title">
      <h2 id="states-title">{t("jobsByState")}</h2>
      <ul class="bars">
        {STATES.map((state) => (
          <li key={state}>
            <StateMark state={state} />
            <span class="bar" style={{ "--share": (counts[state] ?? 0) / most }} />
            <span class="count">{number(counts[state] ?? 0)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Failures({ view }: { view: View }) {
  const { recent } = view.failures;
  return (
    <section class="card" aria-labelledby="failures-title">
      <h2 id="failures-title">{t("recentFailures")}</h2>
      {recent.length === 0 && <p class="fine">{t("noFailures")}</p>}
      <ul class="failures">
        {recent.map(({ jobId, at, code, message }) => (
          <li key={`${jobId}${at}`}>
            <p>
              <JobLink id={jobId} /> <code>{code}</code>{" "}
              <time class="fine" dateTime={at}>
                {ago(at)}
              </time>
            </p>
            <p class="fine" dir="auto">
              {message}
            </p>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** A job by the beginning of its id. */
function JobLink({ id }: { id: string }) {
  return (
    <a href={to("jobs", id)} title={id}>
      <bdi>{id.slice(0, 8)}</bdi>
    </a>
  );
}

function Workers({ workers }: { workers: View["workers"] }) {
  return (
    <section class="card" aria-labelledby="workers-title">
      <h2 id="workers-title">{t("workers")}</h2>
      {workers.length === 0 && <p class="fine">{t("noWorkers")}</p>}
      <ul class="workers">
        {workers.map(({ name, jobId, since }) => (
          <li key={name}>
            <strong>
              <bdi>{name}</bdi>
            </strong>
            <JobLink id={jobId} />
            <time class="fine" dateTime={since}>
              {ago(since)}
            </time>
          </li>
        ))}
      </ul>
    </section>
  );
}

function DeadLetters({ count, again }: { count: number; again: () => void }) {
  const letters = useLoaded(async () => (count > 0 ? (await api.deadLetters()).items : []), [count]);
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  const redrive = async (): Promise<void> => {
    busy.value = true;
    try {
      await api.redrive();
      announce(t("redriven"));
      again();
    } catch (problem) {
      error.value = problem;
    } finally {
      busy.value = false;
    }
  };
  return (
    <section class="card" aria-labelledby="letters-title">
      <header class="section-head">
        <h2 id="letters-title">{t("deadLetters")}</h2>
        {count > 0 && (
          <button type="button" class="button small" disabled={busy.value} onClick={() => void redrive()}>
            <Icon name="retry" /> {t("redrive")}
          </button>
        )}
      </header>
      <p class="fine">{t(count > 0 ? "deadLettersWords" : "noDeadLetters")}</p>
      {error.value !== null && <Trouble error={error.value} />}
      <ul class="failures">
        {letters.value?.map((letter) => (
          <li key={letter.jobId}>
            <p>
              <JobLink id={letter.jobId} /> {letter.status && <StateMark state={letter.status} />}{" "}
              <time class="fine" dateTime={letter.diedAt}>
                {ago(letter.diedAt)}
              </time>
            </p>
            <p class="fine" dir="auto">
              {letter.reason}
            </p>
          </li>
        ))}
      </ul>
    </section>
  );
}
