import { useSignal } from "@preact/signals";
import { apiAddress, key, keyWanted, setKey } from "../api/config";
import { t } from "../i18n";
import { Dialog } from "./dialog";
import { Icon } from "./icon";

/** Where the API key is entered. It stays in this tab. */
export function KeyDialog({ close, entered }: { close: () => void; entered: () => void }) {
  const value = useSignal("");
  return (
    <Dialog title={t("apiKey")} close={close}>
      {keyWanted.value && (
        <p class="trouble" role="alert">
          <Icon name="key" /> {t(keyWanted.value === "refused" ? "keyRefused" : "keyMissing", { api: apiAddress() })}
        </p>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          setKey(value.value);
          entered();
          close();
        }}
      >
        <label class="field">
          <span>{t("apiKey")}</span>
          <input type="password" required autoComplete="off" spellcheck={false} value={value.value} placeholder="sl_…" onInput={(event) => (value.value = event.currentTarget.value)} />
        </label>
        <p class="fine">{t("keyFine")}</p>
        <p class="actions end">
          {key.value && (
            <button
              type="button"
              class="button quiet"
              onClick={() => {
                setKey("");
                entered();
                close();
              }}
            >
              {t("forgetKey")}
            </button>
          )}
          <button type="submit" class="button primary">
            {t("useKey")}
          </button>
        </p>
      </form>
    </Dialog>
  );
}
