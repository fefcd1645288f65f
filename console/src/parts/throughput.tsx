import type { Operations } from "../api/types";
import { hour, number, t } from "../i18n";

const WIDTH = 900;
const HEIGHT = 160;
const FLOOR = 22;
const SIDE = 34;
const MINUTE = 60_000;

/** Jobs that ended in each minute: completed, and failed on top. The same as a table for who can not see it. */
export function Throughput({ told }: { told: Operations["throughput"] }) {
  const minutes = wholeHour(told);
  const top = nice(Math.max(1, ...minutes.map((each) => each.completed + each.failed)));
  const step = (WIDTH - SIDE) / Math.max(1, minutes.length);
  const scale = (value: number): number => (value / top) * (HEIGHT - FLOOR - 8);
  const every = Math.max(1, Math.ceil(minutes.length / 8));
  return (
    <figure class="card chart">
      <figcaption>
        <h2>{t("throughput")}</h2>
        <p class="legend fine">
          <span class="key completed">{t("stateCOMPLETED")}</span> <span class="key failed">{t("stateFAILED")}</span>
        </p>
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={summary(minutes)} direction="ltr">
        {[0, top / 2, top].map((value) => (
          <g key={value}>
            <path class="grid" d={`M${SIDE} ${HEIGHT - FLOOR - scale(value)}H${WIDTH}`} />
            <text x={SIDE - 8} y={HEIGHT - FLOOR - scale(value) + 4} text-anchor="end">
              {number(value, 1)}
            </text>
          </g>
        ))}
        {minutes.map((each, index) => {
          const x = SIDE + index * step;
          const good = scale(each.completed);
          const bad = scale(each.failed);
          const width = Math.max(1, step - 2);
          return (
            <g key={each.minute}>
              <rect class="completed" x={x + 1} y={HEIGHT - FLOOR - good} width={width} height={good} rx={1.5} />
              <rect class="failed" x={x + 1} y={HEIGHT - FLOOR - good - bad} width={width} height={bad} rx={1.5} />
              {index % every === 0 && (
                <text x={x + step / 2} y={HEIGHT - 5} text-anchor="middle">
                  {hour(each.minute)}
                </text>
              )}
            </g>
          );
        })}
      </svg>
      <details>
        <summary class="fine">{t("asTable")}</summary>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("minute")}</th>
              <th scope="col">{t("stateCOMPLETED")}</th>
              <th scope="col">{t("stateFAILED")}</th>
            </tr>
          </thead>
          <tbody>
            {told.map((each) => (
              <tr key={each.minute}>
                <th scope="row">{hour(each.minute)}</th>
                <td>{number(each.completed)}</td>
                <td>{number(each.failed)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </figure>
  );
}

/** The last hour minute by minute, with those in which nothing ended. */
function wholeHour(told: Operations["throughput"]): Operations["throughput"] {
  const known = new Map(told.map((each) => [Date.parse(each.minute) / MINUTE, each]));
  const last = Math.max(Math.floor(Date.now() / MINUTE), ...known.keys());
  return Array.from({ length: 60 }, (_, index) => {
    const minute = last - 59 + index;
    return known.get(minute) ?? { minute: new Date(minute * MINUTE).toISOString(), completed: 0, failed: 0 };
  });
}

/** The next round number that is even in the middle. */
function nice(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 6, 8, 10].find((each) => each * power >= value) ?? 10) * power;
}

function summary(minutes: Operations["throughput"]): string {
  const sum = (name: "completed" | "failed"): number => minutes.reduce((total, each) => total + each[name], 0);
  return t("throughputSummary", { n: minutes.length, completed: sum("completed"), failed: sum("failed") });
}
