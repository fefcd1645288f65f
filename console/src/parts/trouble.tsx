import { Problem } from "../api/client";
import { t } from "../i18n";
import { Icon } from "./icon";

/** A failure in words, with its code, and a way to try again. */
export function Trouble({ error, again }: { error: unknown; again?: () => void }) {
  const problem = error instanceof Problem ? error : null;
  const message = problem ? problem.message : t("unexpected");
  return (
    <div class="trouble" role="alert">
      <Icon name="alert" />
      <div>
        <p dir="auto">{message}</p>
        {problem && (
          <p class="fine">
            <code>{problem.code}</code>
            {problem.requestId && (
              <>
                {" · "}
                {t("request")} <code>{problem.requestId}</code>
              </>
            )}
          </p>
        )}
      </div>
      {again && (
        <button type="button" class="button small" onClick={again}>
          <Icon name="retry" /> {t("tryAgain")}
        </button>
      )}
    </div>
  );
}
