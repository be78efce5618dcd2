/** Texts: English in the code, French in `fr.ts`, which is loaded when it is chosen. */

export type Language = "en" | "fr";
type Values = Record<string, string | number>;
const STORED = "perminute.language";
let texts: Record<string, string> = {};
let current: Language = "en";

export function language(): Language {
  return current;
}

/** The text in the chosen language; `{name}` stands for a value. */
export function t(text: string, values: Values = {}): string {
  const found = texts[text] ?? text;
  return found.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** A count with its noun: `one` for 1 (in French for 0, too), else `many`; `{n}` is the count. */
export function counted(count: number, one: string, many: string, values: Values = {}): string {
  const isOne = new Intl.PluralRules(current).select(count) === "one";
  return t(isOne ? one : many, { ...values, n: count.toLocaleString(current) });
}

export async function choose(wanted: Language): Promise<void> {
  texts = wanted === "fr" ? (await import("./fr")).default : {};
  current = wanted;
  document.documentElement.lang = wanted;
  localStorage.setItem(STORED, wanted);
}

export function preferred(): Language {
  const stored = localStorage.getItem(STORED);
  if (stored === "en" || stored === "fr") return stored;
  return navigator.language.toLowerCase().startsWith("fr") ? "fr" : "en";
}
