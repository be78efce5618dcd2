/** Dark or light: the system's choice, unless the user chose. */
import { remember, remembered } from "./remembered";

export function applyTheme(): void {
  show(remembered("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
}

export function toggleTheme(): void {
  const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  remember("theme", next);
  show(next);
}

function show(theme: string): void {
  document.documentElement.dataset.theme = theme === "dark" ? "dark" : "light";
}
