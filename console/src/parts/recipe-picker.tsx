import { useEffect } from "preact/hooks";
import { t } from "../i18n";
import { choose, chosen, load, named, own } from "../recipes/chosen";
import { to } from "../router";

/** Which recipe the next uploads get. */
export function RecipePicker() {
  useEffect(() => void load().catch(() => undefined), []); // without the list, the default is used
  const recipes = named.value;
  const mine = Object.keys(own.value);
  const wanted = chosen.value;
  const current = wanted.startsWith("own:") ? wanted : (recipes?.items.find((item) => item.name === wanted)?.name ?? recipes?.default ?? "");
  return (
    <div class="picker">
      <label for="recipe">{t("recipe")}</label>
      <select id="recipe" value={current} onChange={(event) => choose(event.currentTarget.value)}>
        <optgroup label={t("recipesHere")}>
          {recipes?.items.map((item) => (
            <option key={item.name} value={item.name}>
              {item.name}
            </option>
          )) ?? <option value="">{t("default")}</option>}
        </optgroup>
        {mine.length > 0 && (
          <optgroup label={t("recipesOwn")}>
            {mine.map((name) => (
              <option key={name} value={`own:${name}`}>
                {name}
              </option>
            ))}
          </optgroup>
        )}
      </select>
      <a href={to("recipes", ...(current ? [current] : []))}>{t("look")}</a>
    </div>
  );
}
