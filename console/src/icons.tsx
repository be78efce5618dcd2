/** Line icons of the menu, on a grid of 24. */
import type { JSX } from "preact";

const PATHS: Record<string, string> = {
  overview: "M3 12h7V3H3zM14 21h7v-9h-7zM14 3v5h7V3zM3 16v5h7v-5z",
  usage: "M4 20V10M10 20V4M16 20v-7M21 20H3",
  legs: "M5 3h4l2 5-2.500 1.500a11 11 0 0 0 6 6L16 13l5 2v4a2 2 0 0 1-2 2A16 16 0 0 1 3 5a2 2 0 0 1 2-2z",
  credits: "M3 7h18v11H3zM3 11h18M7 15h3",
  policy: "M12 3l8 3v6c0 5-3.500 8-8 9-4.500-1-8-4-8-9V6zM9 12l2 2 4-4",
  cards: "M4 6h16M4 12h16M4 18h10M18 16v5M15.500 18.500h5",
  parked: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM10 9v6M14 9v6",
  directory: "M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM3 20c0-3.500 2.500-5.500 6-5.500s6 2 6 5.500M16 5a3 3 0 0 1 0 6M18 15c2 .5 3 2.300 3 5",
  status: "M3 12h4l3-7 4 14 3-7h4",
};

export function Icon({ name }: { name: string }): JSX.Element {
  return (
    <svg class="glyph" viewBox="0 0 24 24" width="18" height="18" aria-hidden="true" focusable="false">
      <path d={PATHS[name] ?? ""} fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" />
    </svg>
  );
}
