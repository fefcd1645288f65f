import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/develop.css";
import "./styles/job.css";
import "./styles/boards.css";
import "./theme";

import { render } from "preact";
import { configure } from "./api/config";
import { App } from "./app";
import { preferred, speak } from "./i18n";
import { restore } from "./uploads/sheet";

await Promise.all([configure(), speak(preferred())]);
restore();
const root = document.getElementById("app");
if (root) render(<App />, root);
