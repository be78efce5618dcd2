import createClient from "openapi-fetch";
import type { paths } from "./schema";
import { t } from "../i18n";
import { keepInTab, keptInTab } from "../remembered";
import { authorization, signedOut } from "../session";

/** A failed request: the problem document of the API, or a failure of the network. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    detail: string,
    readonly code: string,
    readonly requestId: string,
    readonly errors: { pointer: string; detail: string }[] = [],
  ) {
    super(detail);
  }
}

type Loose = Record<string, unknown>;

/** A member that should be a text: a gateway in between may answer with anything. */
const text = (value: unknown, otherwise = ""): string => (typeof value === "string" ? value : otherwise);
const isObject = (value: unknown): value is Loose => typeof value === "object" && value !== null;

const client = createClient<paths>({
  baseUrl: location.origin,
  fetch: async (request: Request) => {
    const token = await authorization();
    if (token) request.headers.set("authorization", `Bearer ${token}`);
    const response = await fetch(request);
    if (response.ok && response.status !== 204 && !response.headers.get("content-type")?.includes("json")) throw unreadable(response);
    return response;
  },
});

export const api = client;

async function failure(response: Response): Promise<ApiError> {
  const requestId = response.headers.get("x-request-id") ?? "";
  const found: unknown = await response.json().catch(() => null);
  const problem = isObject(found) ? found : {};
  if (response.status === 401) signedOut(true);
  return new ApiError(
    response.status,
    text(problem.title, response.statusText),
    text(problem.detail, `HTTP ${response.status}`),
    text(problem.code),
    text(problem.request_id, requestId),
    (Array.isArray(problem.errors) ? problem.errors : []).filter(isObject).map((each) => ({ pointer: text(each.pointer), detail: text(each.detail) })),
  );
}

/** A successful answer that is not the API's: of a proxy, or cut off. */
function unreadable(response: Response): ApiError {
  return new ApiError(response.status, t("The answer can't be read"), t("The answer is not one of the API. A proxy may have sent it."), "answer_unreadable", response.headers.get("x-request-id") ?? "");
}

function unreachable(error: unknown): ApiError {
  return new ApiError(0, "No answer", error instanceof Error ? error.message : "", "unreachable", "");
}

/** The JSON of a successful answer; CSV goes through `download`. Throws ApiError. */
export async function data<T>(
  call: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<Exclude<T, string>> {
  let answer: { data?: T; error?: unknown; response: Response };
  try {
    answer = await call;
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw error instanceof SyntaxError ? unreadable(new Response()) : unreachable(error);
  }
  if (!answer.response.ok) {
    throw await failure(
      new Response(JSON.stringify(answer.error ?? {}), {
        status: answer.response.status,
        statusText: answer.response.statusText,
        headers: answer.response.headers,
      }),
    );
  }
  return answer.data as Exclude<T, string>;
}

export type Query = Record<string, string | number | boolean | undefined>;
type Options = { query?: Query; body?: BodyInit | object; headers?: Record<string, string> };

/** A request that the typed client does not cover: forms, files, and CSV. Throws ApiError. */
export async function send(method: string, path: string, options: Options = {}): Promise<Response> {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(options.query ?? {})) {
    if (value !== undefined && value !== "") url.searchParams.set(name, String(value));
  }
  const headers = new Headers(options.headers);
  const token = await authorization();
  if (token) headers.set("authorization", `Bearer ${token}`);
  let body: BodyInit | undefined;
  if (typeof options.body === "string" || options.body instanceof Blob || options.body instanceof FormData) {
    body = options.body;
  } else if (options.body !== undefined) {
    body = JSON.stringify(options.body);
    headers.set("content-type", "application/json");
  }
  let response: Response;
  try {
    response = await fetch(url, { method, headers, ...(body === undefined ? {} : { body }) });
  } catch (error) {
    throw unreachable(error);
  }
  if (!response.ok) throw await failure(response);
  return response;
}

export async function json<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const response = await send(method, path, options);
  try {
    return (response.status === 204 ? undefined : await response.json()) as T;
  } catch {
    throw unreadable(response);
  }
}

/** Save the CSV of a list under the name that the API gives. */
export async function download(path: string, query: Query): Promise<void> {
  const response = await send("GET", path, { query: { ...query, format: "csv" } });
  const named = /filename="([^"]+)"/.exec(response.headers.get("content-disposition") ?? "");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = named?.[1] ?? "perminute.csv";
  link.click();
  URL.revokeObjectURL(link.href);
}

/** A booking, sent under an idempotency key: the key of an equal booking in this tab whose answer was
 * lost, else the one that is given. `isRepeated`: it was booked before. Throws ApiError. */
export async function book<T>(path: string, body: object, key: string): Promise<T & { isRepeated: boolean }> {
  const name = `perminute.booking ${path} ${JSON.stringify(body)}`;
  const used = keptInTab(name) ?? key;
  keepInTab(name, used);
  try {
    const response = await send("POST", path, { headers: { "Idempotency-Key": used }, body });
    const answer = (await response.json().catch(() => Promise.reject(unreadable(response)))) as T;
    keepInTab(name, null);
    return { ...answer, isRepeated: response.headers.get("idempotency-hit") === "true" };
  } catch (error) {
    const isDecided = error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429;
    if (isDecided) keepInTab(name, null);
    throw error;
  }
}

/** Path segment. Throws ApiError for a name that no address can hold: a browser takes `..` for the
 * path above, and the request would be another one. */
export function seg(name: string): string {
  if (/^\.{0,2}$/.test(name)) throw new ApiError(400, t("No such name"), t("An address can't contain this name: {name}", { name: name || "–" }), "name_unusable", "");
  return encodeURIComponent(name);
}

export function newKey(): string {
  return crypto.randomUUID();
}
