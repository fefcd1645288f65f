import { bytes, duration, percent, t } from "../i18n";
import { online } from "../online";
import { standing } from "../uploads/rate";
import { uppy } from "../uploads/sheet";
import { Icon } from "./icon";

/** How the uploads stand as a whole; there only while there are some. */
export function Standing() {
  const now = standing.value;
  if (!now) return null;
  const share = now.bytes ? now.sent / now.bytes : 0;
  const allPaused = now.paused === now.files - now.done && now.paused > 0;
  return (
    <aside class="standing" aria-label={t("uploads")}>
      <div class="standing-words">
        <strong>{t("uploadedOf", { done: now.done, n: now.files })}</strong>
        <span class="fine">
          {bytes(now.sent)} / {bytes(now.bytes)}
          {now.speed > 0 && <> · {t("perSecond", { size: bytes(now.speed) })}</>}
        </span>
      </div>
      <progress max={1} value={share} aria-label={t("uploads")}>
        {percent(share)}
      </progress>
      <span class="left">{!online.value ? t("offline") : allPaused ? t("paused") : now.left === null ? t("measuring") : t("left", { time: duration(now.left) })}</span>
      <button type="button" class="button small" onClick={() => (allPaused ? uppy.resumeAll() : uppy.pauseAll())}>
        <Icon name={allPaused ? "play" : "pause"} /> {allPaused ? t("resumeAll") : t("pauseAll")}
      </button>
    </aside>
  );
}
