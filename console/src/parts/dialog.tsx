import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../i18n";
import { Icon } from "./icon";

interface Props {
  title: string;
  close: () => void;
  wide?: boolean;
  children: ComponentChildren;
}

/** A modal dialog. The browser keeps the focus inside, closes it by Escape and gives the focus back. */
export function Dialog({ title, close, wide = false, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      class={wide ? "dialog wide" : "dialog"}
      aria-labelledby="dialog-title"
      onClose={close}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      <div class="dialog-body">
        <header class="dialog-head">
          <h2 id="dialog-title">{title}</h2>
          <button type="button" class="button quiet small" aria-label={t("close")} onClick={() => dialog.current?.close()}>
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

/** Ask before something that can not be undone. */
export function Confirm({ title, words, action, yes, no }: { title: string; words: string; action: string; yes: () => void; no: () => void }) {
  return (
    <Dialog title={title} close={no}>
      <p>{words}</p>
      <p class="actions end">
        <button type="button" class="button" onClick={no}>
          {t("keep")}
        </button>
        <button type="button" class="button danger" onClick={yes}>
          {action}
        </button>
      </p>
    </Dialog>
  );
}
