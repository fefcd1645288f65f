import type { Job, State } from "../api/types";
import { t } from "../i18n";

const KIND: Record<State, string> = {
  PENDING: "wait",
  PROCESSING: "work",
  COMPLETED: "good",
  FAILED: "bad",
  EXPIRED: "gone",
  CANCELED: "gone",
};

/** A job's state: by word and by colour, never by colour alone. */
export function StateMark({ state }: { state: State }) {
  return <span class={`state ${KIND[state]}`}>{t(`state${state}`)}</span>;
}

/** What is being done with a job at this moment. */
export const stageWords = (job: Job): string => t(`stage_${job.stage}`);
