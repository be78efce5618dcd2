/** Texts of amounts, times and durations. Amounts are decimal strings and stay exact. */
import { language, t } from "./i18n";

/** A decimal string with separators, at least two decimals, and none cut off. */
export function decimal(value: string): string {
  const [, sign = "", whole = "0", decimals = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(value) ?? [];
  if (!/^-?\d+(\.\d+)?$/.test(value)) return value;
  const french = language() === "fr";
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, french ? "\u202f" : ",");
  return `${sign ? "\u2212" : ""}${grouped}${french ? "," : "."}${decimals.padEnd(2, "0")}`;
}

/** The size of an amount for a chart or a bar, never for a figure. */
export function size(value: string | null | undefined): number {
  return Number(value ?? 0);
}

/** The sign of a decimal string: -1, 0 or 1. */
export function sign(value: string): number {
  if (!/[1-9]/.test(value)) return 0;
  return value.startsWith("-") ? -1 : 1;
}

/** a − b, exact. */
export function minus(a: string, b: string): string {
  const decimals = Math.max(...[a, b].map((each) => each.split(".")[1]?.length ?? 0));
  const scaled = (text: string): bigint => {
    const [whole = "0", part = ""] = text.replace("-", "").split(".");
    const value = BigInt(whole + part.padEnd(decimals, "0"));
    return text.startsWith("-") ? -value : value;
  };
  const result = scaled(a) - scaled(b);
  const digits = (result < 0n ? -result : result).toString().padStart(decimals + 1, "0");
  const at = digits.length - decimals;
  return (result < 0n ? "-" : "") + digits.slice(0, at) + (decimals ? `.${digits.slice(at)}` : "");
}

export function integer(value: number): string {
  return value.toLocaleString(language());
}

/** Seconds as h:mm:ss or m:ss. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return "–";
  const rest = Math.abs(seconds);
  const [hours, minutes, left] = [Math.floor(rest / 3600), Math.floor(rest / 60) % 60, rest % 60];
  const two = (value: number): string => String(value).padStart(2, "0");
  const text = hours ? `${hours}:${two(minutes)}:${two(left)}` : `${minutes}:${two(left)}`;
  return seconds < 0 ? `\u2212${text}` : text;
}

/** Minutes of a sum of seconds, for tables of usage. */
export function minutes(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return "–";
  return t("{n} min", { n: integer(Math.round(seconds / 60)) });
}

/** The zone, or UTC where the browser does not know it. */
function known(zone: string): string {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return zone;
  } catch {
    return "UTC";
  }
}

/** The RFC 3339 time at which a date, `YYYY-MM-DD`, begins in a zone. */
export function midnight(date: string, zone: string): string {
  const parts = new Intl.DateTimeFormat("en-US", { timeZone: known(zone), hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" });
  const offset = (at: number): number => {
    const { year = 0, month: number = 1, day: of = 1, hour = 0, minute = 0, second = 0 } = Object.fromEntries(parts.formatToParts(at).map((each) => [each.type, Number(each.value)]));
    return Date.UTC(year, number - 1, of, hour, minute, second) - at;
  };
  const utc = Date.parse(`${date}T00:00:00Z`);
  const first = utc - offset(utc);
  const second = utc - offset(first);
  // Where clocks skip midnight, the day begins at the change.
  const start = second + offset(second) < utc ? first : second;
  return new Date(start).toISOString().replace(".000Z", "Z");
}

/** A time in a zone, with the zone's short name. */
export function time(text: string | null | undefined, zone: string): string {
  if (!text) return "–";
  return new Date(text).toLocaleString(language() === "fr" ? "fr-FR" : "en-GB", {
    timeZone: known(zone),
    year: "numeric",
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    timeZoneName: "short",
  });
}

export function day(text: string | null | undefined, zone: string): string {
  if (!text) return "–";
  return new Date(text).toLocaleDateString(language() === "fr" ? "fr-FR" : "en-GB", {
    timeZone: known(zone),
    year: "numeric",
    month: "short",
    day: "numeric",
  });
}

/** The present month in a zone, `YYYY-MM`, moved by some months. */
export function month(zone: string, moved = 0): string {
  const parts = new Intl.DateTimeFormat("en-CA", { timeZone: known(zone), year: "numeric", month: "2-digit" });
  const [year = 2000, number = 1] = parts.format(new Date()).split("-").map(Number);
  return shift(`${year}-${String(number).padStart(2, "0")}`, moved);
}

export function shift(text: string, moved: number): string {
  const [year = 2000, number = 1] = text.split("-").map(Number);
  const index = year * 12 + number - 1 + moved;
  return `${Math.floor(index / 12)}-${String((index % 12) + 1).padStart(2, "0")}`;
}

export function monthName(text: string): string {
  const [year = 2000, number = 1] = text.split("-").map(Number);
  return new Date(Date.UTC(year, number - 1, 1)).toLocaleDateString(language() === "fr" ? "fr-FR" : "en-GB", {
    timeZone: "UTC",
    month: "long",
    year: "numeric",
  });
}

const SPELLED: Record<string, string> = { voip: "VoIP", policy_zone_a_only: "Policy: Zone A only" };

/** The groups of usage that a leg may lack, and that a search for legs can name. */
export const ABSENT = ["organizer", "cost_center", "conference", "region", "destination"];

/** A code of the API in words: `dial_out` → Dial out. */
export function words(code: string): string {
  const text = SPELLED[code] ?? code.replaceAll("_", " ");
  return t(text.charAt(0).toUpperCase() + text.slice(1));
}

/** The name of a region in the chosen language. */
export function regionName(code: string | null | undefined): string {
  if (!code) return t("Unknown");
  try {
    return new Intl.DisplayNames([language()], { type: "region" }).of(code) ?? code;
  } catch {
    return code;
  }
}
