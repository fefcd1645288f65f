import { useState } from "preact/hooks";
import { percent, t } from "../i18n";

interface Props {
  before: string;
  after: string;
  /** Of the rendition, in pixels. */
  width: number;
  height: number;
  name: string;
}

/** Two pictures over each other, and a line to move between them: by pointer, by touch, by the arrow keys. */
export function Compare({ before, after, width, height, name }: Props) {
  const [at, setAt] = useState(50);
  return (
    <figure class="compare" dir="ltr" style={{ "--at": `${at}%`, "--ratio": width / height }}>
      <img class="after" src={after} alt={t("afterOf", { name })} width={width} height={height} decoding="async" />
      <img class="before" src={before} alt={t("beforeOf", { name })} decoding="async" />
      <span class="tag tag-before" aria-hidden="true">{t("before")}</span>
      <span class="tag tag-after" aria-hidden="true">{t("after")}</span>
      <span class="seam" aria-hidden="true">
        <span class="grip" />
      </span>
      <input
        type="range"
        min={0}
        max={100}
        step={1}
        value={at}
        aria-label={t("compare")}
        aria-valuetext={t("compareAt", { share: percent(at / 100) })}
        onInput={(event) => setAt(Number(event.currentTarget.value))}
      />
    </figure>
  );
}
