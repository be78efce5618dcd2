/** Who is signed in. An API key is kept in memory, in sessionStorage only on request. */
import { forgetInTab, keepInTab, keptInTab } from "./remembered";

export type Role = "reader" | "finance" | "operator" | "payments" | "admin";
export type Caller = { name: string; roles: string[]; accounts: string[] };
type Entra = { authority: string; client_id: string };
export type Config = { entra: Entra | null; version: string };

const STORED = "perminute.key";
let key: string | null = null;
let token: (() => Promise<string>) | null = null;
let onSignOut: (isExpired: boolean) => void = () => undefined;

export async function authorization(): Promise<string | null> {
  return token ? token() : key;
}

/** The key of a one-time sign-in (`#key=…`), which is removed from the address at once. */
export function takeKeyFromAddress(): boolean {
  const found = /[#&]key=([^&]+)/.exec(location.hash);
  if (!found?.[1]) return false;
  history.replaceState(null, "", location.pathname + location.search);
  try {
    useKey(decodeURIComponent(found[1]), false);
  } catch {
    useKey(found[1], false); // no percent-encoding: refused as a key
  }
  return true;
}

export function restoreKey(): boolean {
  key = keptInTab(STORED);
  return key !== null;
}

export function useKey(value: string, keep: boolean): void {
  token = null;
  key = value;
  keepInTab(STORED, keep ? value : null);
}

export function useToken(source: () => Promise<string>): void {
  key = null;
  token = source;
}

export function whenSignedOut(listener: (isExpired: boolean) => void): void {
  onSignOut = listener;
}

/** Forget the key or token. `isExpired`: the API no longer accepts it. */
export function signedOut(isExpired = false): void {
  key = token = null;
  forgetInTab((name) => name === STORED || name.startsWith("msal."));
  onSignOut(isExpired);
}

export function seesAll(caller: Caller): boolean {
  return caller.accounts.includes("*");
}

/** Whether the caller holds one of the roles; `admin` holds all of them. */
export function holds(caller: Caller, roles: Role[]): boolean {
  return caller.roles.includes("admin") || roles.some((role) => caller.roles.includes(role));
}
