import type { Job } from "../api/types";
import { bytes, t } from "../i18n";
import { Copy } from "./copy";
import { Icon } from "./icon";

/** Every rendition of a job: what it is, and how to have it. */
export function Outputs({ job }: { job: Job }) {
  return (
    <section aria-labelledby="outputs-title">
      <h2 id="outputs-title">{t("outputs")}</h2>
      <ul class="outputs">
        {job.outputs.map((output) => (
          <li key={output.name}>
            <div>
              <strong>{output.name}</strong>
              <p class="fine">
                <bdi>{output.contentType}</bdi> · <bdi>{`${output.width} × ${output.height}`}</bdi> · <bdi>{bytes(output.bytes)}</bdi>
                {job.source.bytes ? <Saved from={job.source.bytes} to={output.bytes} /> : null}
              </p>
              {output.publicUrl ? (
                <p class="fine">
                  {t("publicAddress")} <a href={output.publicUrl}><bdi>{output.publicUrl}</bdi></a>
                </p>
              ) : null}
            </div>
            <div class="tools">
              <Copy text={output.url} label={t("copyLinkOf", { name: output.name })} quiet />
              <a class="button quiet small" href={output.url} download aria-label={t("downloadFile", { name: output.name })} title={t("download")}>
                <Icon name="download" />
              </a>
            </div>
          </li>
        ))}
      </ul>
      <p class="fine">{t("linksHold")}</p>
    </section>
  );
}

function Saved({ from, to }: { from: number; to: number }) {
  const share = Math.floor((1 - to / from) * 100);
  return share > 0 ? <span class="saved"> {t("smaller", { share })}</span> : null;
}
