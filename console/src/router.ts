/** The address is the state of a page: `/console/{page}?name=value`. */
import { useEffect, useState } from "preact/hooks";

const BASE = "/console/";
export type Place = { page: string; query: Record<string, string> };
const listeners = new Set<() => void>();

export function place(): Place {
  const page = location.pathname.slice(BASE.length).replace(/\/+$/, "");
  return { page, query: Object.fromEntries(new URLSearchParams(location.search)) };
}

export function href(page: string, query: Record<string, string | undefined> = {}): string {
  const given = Object.entries(query).filter((each): each is [string, string] => !!each[1]);
  const text = new URLSearchParams(given).toString();
  return BASE + page + (text ? `?${text}` : "");
}

export function go(target: string, replace = false): void {
  if (replace) history.replaceState(null, "", target);
  else history.pushState(null, "", target);
  for (const listener of listeners) listener();
}

/** Change some parameters of this page; an empty one is removed. */
export function change(values: Record<string, string | undefined>, replace = false): void {
  const { page, query } = place();
  go(href(page, { ...query, ...values }), replace);
}

export function usePlace(): Place {
  const [current, set] = useState(place);
  useEffect(() => {
    const update = (): void => set(place());
    listeners.add(update);
    addEventListener("popstate", update);
    return () => {
      listeners.delete(update);
      removeEventListener("popstate", update);
    };
  }, []);
  return current;
}

/** Follow links of the console without loading the page again. */
export function followLinks(event: MouseEvent): void {
  const link = (event.target as Element | null)?.closest?.("a");
  if (!link || event.defaultPrevented || event.button !== 0 || link.target || link.hasAttribute("download")) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.origin !== location.origin || !link.pathname.startsWith(BASE) || link.getAttribute("href")?.startsWith("#")) return;
  event.preventDefault();
  isArriving = link.pathname !== location.pathname;
  go(link.pathname + link.search);
  scrollTo(0, 0);
}

let isArriving = false;

/** Whether a link led to the page that is shown now: then its heading takes the focus, once. */
export function arrives(): boolean {
  const was = isArriving;
  isArriving = false;
  return was;
}
