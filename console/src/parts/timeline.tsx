import type { Job } from "../api/types";
import { clock, duration, t } from "../i18n";

/** Every state that a job has been in, when, and for how long. */
export function Timeline({ job }: { job: Job }) {
  return (
    <section aria-labelledby="timeline-title">
      <h2 id="timeline-title">{t("timeline")}</h2>
      <ol class="timeline">
        {job.timeline.map((moment, index) => {
          const next = job.timeline[index + 1];
          const took = next ? (Date.parse(next.at) - Date.parse(moment.at)) / 1000 : null;
          return (
            <li key={`${moment.at}-${index}`} class={moment.status.toLowerCase()}>
              <time dateTime={moment.at}>{clock(moment.at)}</time>
              <span>
                {t(`state${moment.status}`)}
                {moment.attempt > 1 && <span class="fine"> · {t("attemptN", { n: moment.attempt })}</span>}
                {moment.code && (
                  <>
                    {" "}
                    <code>{moment.code}</code>
                  </>
                )}
              </span>
              {took !== null && <span class="fine took">{duration(took)}</span>}
            </li>
          );
        })}
      </ol>
    </section>
  );
}
