// The recipe editor: CodeMirror with what JSON needs. Loaded only on the page of recipes.

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { json, jsonParseLinter } from "@codemirror/lang-json";
import { bracketMatching, foldGutter, foldKeymap, HighlightStyle, indentOnInput, syntaxHighlighting, syntaxTree } from "@codemirror/language";
import { lintGutter, lintKeymap, linter, setDiagnostics, type Diagnostic } from "@codemirror/lint";
import { Annotation, EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import type { SyntaxNode } from "@lezer/common";
import { tags } from "@lezer/highlight";
import { completions, type Schema } from "./complete";
import type { Mistake } from "./validate";

export interface Editor {
  text: (text: string) => void;
  /** Show mistakes at their places. Return them with their lines, in the order of the lines. */
  show: (mistakes: Mistake[]) => Placed[];
  /** Put the cursor at a mistake. */
  visit: (mistake: Placed) => void;
  close: () => void;
}

export interface Placed {
  line: number;
  from: number;
  message: string;
}

const COLOURS = HighlightStyle.define([
  { tag: tags.propertyName, color: "var(--code-name)" },
  { tag: tags.string, color: "var(--code-text)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--code-value)" },
  { tag: [tags.separator, tags.squareBracket, tags.brace], color: "var(--ink-3)" },
]);

const LOOK = EditorView.theme({
  "&": { color: "var(--ink)", backgroundColor: "transparent", fontSize: "0.875rem", height: "100%" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--ink-3)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--wash)" },
  ".cm-content": { caretColor: "var(--accent)", padding: "0.75rem 0" },
  ".cm-cursor": { borderLeftColor: "var(--accent)" },
  ".cm-selectionBackground, &.cm-focused .cm-selectionBackground": { backgroundColor: "var(--selection) !important" },
  ".cm-tooltip": { backgroundColor: "var(--raised)", color: "var(--ink)", border: "1px solid var(--line)", borderRadius: "0.5rem" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "var(--selection)", outline: "none" },
  ".cm-foldPlaceholder": { backgroundColor: "var(--wash)", border: "none", color: "var(--ink-2)" },
});

/** The text was put in, not typed. */
const put = Annotation.define<boolean>();

/** An editor in an element. It lives in a shadow root, where CodeMirror's styles need no exception from the
 * Content-Security-Policy: they are adopted, not written into the page. */
export function edit(host: HTMLElement, start: string, schema: Schema, label: string, changed: (text: string, typed: boolean) => void): Editor {
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: start,
      extensions: [
        lineNumbers(),
        foldGutter(),
        history(),
        drawSelection(),
        indentOnInput(),
        bracketMatching(),
        closeBrackets(),
        highlightActiveLine(),
        json(),
        syntaxHighlighting(COLOURS),
        lintGutter(),
        linter(null),
        autocompletion({ override: [(context) => completions(context, schema)] }),
        keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...foldKeymap, ...completionKeymap, ...lintKeymap]),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false", dir: "ltr", tabindex: "0" }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) changed(update.state.doc.toString(), !update.transactions.some((each) => each.annotation(put)));
        }),
        LOOK,
      ],
    }),
  });
  return {
    text: (text) => {
      if (text === view.state.doc.toString()) return;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, annotations: put.of(true) });
    },
    show: (mistakes) => {
      const broken = jsonParseLinter()(view);
      const found: Diagnostic[] = broken.length > 0 ? broken : mistakes.map((mistake) => diagnosis(view.state, mistake));
      view.dispatch(setDiagnostics(view.state, found));
      return found
        .map(({ from, message }) => ({ from, message, line: view.state.doc.lineAt(from).number }))
        .sort((a, b) => a.from - b.from);
    },
    visit: ({ from }) => {
      view.focus();
      view.dispatch({ selection: { anchor: from }, scrollIntoView: true });
    },
    close: () => view.destroy(),
  };
}

function diagnosis(state: EditorState, { place, message }: Mistake): Diagnostic {
  const node = locate(state, place);
  return { from: node.from, to: Math.min(node.to, state.doc.lineAt(node.from).to), severity: "error", message };
}

/** Where in the text a place is: its value, or the innermost part on the way to it that is there. */
function locate(state: EditorState, place: string[]): { from: number; to: number } {
  let node: SyntaxNode | null = syntaxTree(state).topNode.firstChild;
  let mark: { from: number; to: number } = { from: node?.from ?? 0, to: (node?.from ?? 0) + 1 };
  for (const word of place) {
    if (!node) break;
    const inside: SyntaxNode | null = node.name === "Object" ? property(state, node, word) : (node.getChildren("Value")[Number(word)] ?? children(node)[Number(word)] ?? null);
    if (!inside) break;
    const name = inside.getChild("PropertyName");
    node = name ? inside.lastChild : inside;
    mark = node && node !== name && node.name !== "Object" && node.name !== "Array" ? node : (name ?? { from: inside.from, to: inside.from + 1 });
  }
  return mark;
}

function property(state: EditorState, object: SyntaxNode, wanted: string): SyntaxNode | null {
  return object.getChildren("Property").find((each) => {
    const name = each.getChild("PropertyName");
    return name && state.sliceDoc(name.from + 1, name.to - 1) === wanted;
  }) ?? null;
}

function children(array: SyntaxNode): SyntaxNode[] {
  const found = [];
  for (let child = array.firstChild; child; child = child.nextSibling) {
    if (!["[", "]", ",", "⚠"].includes(child.name)) found.push(child);
  }
  return found;
}
