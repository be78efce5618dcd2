import { render } from "preact";
import { App } from "./app";
import { choose, preferred } from "./i18n";
import { followLinks } from "./router";
import { applyTheme } from "./theme";

applyTheme();
document.addEventListener("click", followLinks);
await choose(preferred());
const root = document.getElementById("app");
if (root) render(<App />, root);
