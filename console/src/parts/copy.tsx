import { useState } from "preact/hooks";
import { t } from "../i18n";
import { announce } from "./announce";
import { Icon } from "./icon";

/** A button that puts a text on the clipboard and says so. */
export function Copy({ text, label, quiet = false }: { text: string; label: string; quiet?: boolean }) {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    announce(t("copied"));
    setTimeout(() => setCopied(false), 1600);
  };
  const words = copied ? t("copied") : label;
  return (
    <button type="button" class={quiet ? "button quiet small" : "button small"} onClick={() => void copy()} aria-label={label} title={label}>
      <Icon name={copied ? "check" : "copy"} />
      <span class={quiet ? "unseen" : ""}>{words}</span>
    </button>
  );
}
