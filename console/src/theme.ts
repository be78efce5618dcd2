/** Dark or light: the system's choice, unless the user chose. */
const STORED = "perminute.theme";

export function applyTheme(): void {
  const stored = localStorage.getItem(STORED);
  const isDark = stored ? stored === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
}

export function toggleTheme(): void {
  const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem(STORED, next);
  applyTheme();
}
