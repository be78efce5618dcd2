/** Components that all pages share. */
import type { ComponentChildren, JSX } from "preact";
import { createContext } from "preact";
import { useContext, useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./api/client";
import { decimal, integer, sign } from "./format";
import { sentence, t } from "./i18n";
import { arrives } from "./router";
import { type Caller, holds, type Role, seesAll } from "./session";

export type Account = { id: string; currency: string; time_zone: string; name?: string | null; etag?: string };
export const CallerContext = createContext<Caller>({ name: "", roles: [], accounts: [] });
export const AccountContext = createContext<Account>({ id: "", currency: "", time_zone: "UTC" });
export const useCaller = (): Caller => useContext(CallerContext);
export const useAccount = (): Account => useContext(AccountContext);

// Loading

export type Loaded<T> = { data?: T; error?: ApiError; isLoading: boolean; reload: () => void };

type Result<T> = { wanted: string; identity: string; data?: T; error?: ApiError };

/** What `load` returns, again whenever `keys` change. The first render with other keys shows no data
 * of the former ones; a reload shows the former data, marked as stale, until the new ones are there. */
export function useLoad<T>(load: () => Promise<T>, keys: unknown[]): Loaded<T> {
  const [found, set] = useState<Result<T>>({ wanted: "", identity: "" });
  const [turn, again] = useState(0);
  const identity = JSON.stringify(keys);
  const wanted = `${turn} ${identity}`;
  useEffect(() => {
    let isCurrent = true;
    const keep = (result: { data: T } | { error: ApiError }): void => {
      if (isCurrent) set({ wanted, identity, ...result });
    };
    load()
      .then((data) => keep({ data }))
      .catch((error: unknown) => keep({ error: asApiError(error) }));
    return () => {
      isCurrent = false;
    };
  }, [wanted]);
  const isLoading = found.wanted !== wanted;
  return {
    ...(found.identity === identity && found.data !== undefined ? { data: found.data } : {}),
    ...(!isLoading && found.error ? { error: found.error } : {}),
    isLoading,
    reload: () => again((value) => value + 1),
  };
}

/** A command: its progress, its failure, and what to do after it. */
export function useAction(): {
  isBusy: boolean;
  error: ApiError | undefined;
  run: (work: () => Promise<void>) => Promise<void>;
  clear: () => void;
} {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | undefined>();
  const isRunning = useRef(false);
  const run = async (work: () => Promise<void>): Promise<void> => {
    if (isRunning.current) return; // a second click before the button is disabled
    isRunning.current = true;
    setBusy(true);
    setError(undefined);
    try {
      await work();
    } catch (problem) {
      setError(asApiError(problem));
    } finally {
      isRunning.current = false;
      setBusy(false);
    }
  };
  return { isBusy, error, run, clear: () => setError(undefined) };
}

export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  console.error(error);
  return new ApiError(0, t("The console failed"), String(error), "console", "");
}

export function Load<T>(props: { state: Loaded<T>; children: (data: T) => ComponentChildren; lines?: number }): JSX.Element {
  const { state } = props;
  if (state.error) return <Problem error={state.error} retry={state.reload} />;
  if (state.data === undefined) return <Skeleton lines={props.lines ?? 3} />;
  return <div class={state.isLoading ? "is-stale" : undefined}>{props.children(state.data)}</div>;
}

function Skeleton({ lines }: { lines: number }): JSX.Element {
  return (
    <div class="skeleton" role="status">
      <span class="hidden">{t("Loading…")}</span>
      {Array.from({ length: lines }, (_, index) => (
        <span key={index} />
      ))}
    </div>
  );
}

/** The places of a problem that are listed. */
const PLACES_SHOWN = 10;

export function Problem({ error, retry }: { error: ApiError; retry?: () => void }): JSX.Element {
  return (
    <div class="problem" role="alert">
      <strong>{error.code === "unreachable" ? t("The API does not answer") : `${sentence(error.title)}${error.status ? ` (${error.status})` : ""}`}</strong>
      <p>{sentence(error.message)}</p>
      {error.errors.length > 0 && (
        <ul>
          {error.errors.slice(0, PLACES_SHOWN).map((each) => (
            <li key={each.pointer + each.detail}>
              <code>{each.pointer}</code> {sentence(each.detail)}
            </li>
          ))}
          {error.errors.length > PLACES_SHOWN && <li>{t("and {n} more", { n: error.errors.length - PLACES_SHOWN })}</li>}
        </ul>
      )}
      <p class="small">
        {error.code && <code>{error.code}</code>}
        {error.requestId && (
          <>
            {" "}
            {t("Request")} <code>{error.requestId}</code>
          </>
        )}
      </p>
      {retry && (
        <button type="button" onClick={retry}>
          {t("Try again")}
        </button>
      )}
    </div>
  );
}

export function Empty({ children }: { children: ComponentChildren }): JSX.Element {
  return <p class="empty">{children}</p>;
}

// Figures

export function Money(props: { value: string; currency?: string; signed?: boolean }): JSX.Element {
  const { value } = props;
  const isNegative = sign(value) < 0 && !props.signed;
  return (
    <data class={`money${isNegative ? " is-negative" : ""}`} value={value}>
      {props.signed && sign(value) > 0 ? "+" : ""}
      {decimal(value)}
      {props.currency && <span class="currency"> {props.currency}</span>}
    </data>
  );
}

export function Stat(props: { label: string; children: ComponentChildren; note?: ComponentChildren; tone?: string }): JSX.Element {
  return (
    <div class={`stat ${props.tone ?? ""}`}>
      <dt>{props.label}</dt>
      <dd>{props.children}</dd>
      {props.note && <dd class="note">{props.note}</dd>}
    </div>
  );
}

export function Badge({ tone, children }: { tone: "good" | "bad" | "warn" | "plain"; children: ComponentChildren }): JSX.Element {
  return <span class={`badge ${tone}`}>{children}</span>;
}

// Layout

export function Page(props: { title: string; about?: ComponentChildren; actions?: ComponentChildren; children: ComponentChildren }): JSX.Element {
  useEffect(() => {
    document.title = `${props.title} · Perminute`;
  }, [props.title]);
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (arrives()) head.current?.focus();
  }, []);
  return (
    <>
      <header class="page-head">
        <div>
          <h1 ref={head} tabIndex={-1}>{props.title}</h1>
          {props.about && <p class="about">{props.about}</p>}
        </div>
        {props.actions && <div class="actions">{props.actions}</div>}
      </header>
      {props.children}
    </>
  );
}

export function Card(props: { title?: string; actions?: ComponentChildren; wide?: boolean; children: ComponentChildren }): JSX.Element {
  const id = useId();
  return (
    <section class={`card${props.wide ? " wide" : ""}`} aria-labelledby={props.title ? id : undefined}>
      {props.title && (
        <header class="card-head">
          <h2 id={id}>{props.title}</h2>
          {props.actions && <div class="actions">{props.actions}</div>}
        </header>
      )}
      {props.children}
    </section>
  );
}

const ROWS_SHOWN = 100;

export type Column<Row> = {
  name: string;
  cell: (row: Row) => ComponentChildren;
  right?: boolean;
  isShort?: boolean; // never broken into lines
};

/** A table, which becomes a list of cards on a narrow screen; `most` rows of it, all on request. */
export function Table<Row>(props: {
  caption: string;
  columns: Column<Row>[];
  rows: readonly Row[];
  id: (row: Row, index: number) => string | number;
  empty?: ComponentChildren;
  foot?: Row | undefined;
  most?: number;
}): JSX.Element {
  const [isWhole, setWhole] = useState(false);
  const shown = isWhole ? props.rows : props.rows.slice(0, props.most ?? ROWS_SHOWN);
  if (props.rows.length === 0) return <Empty>{props.empty ?? t("No entries yet.")}</Empty>;
  const line = (row: Row): JSX.Element[] =>
    props.columns.map((column, index) => (
      <td key={index} class={column.right ? "right" : column.isShort ? "nowrap" : undefined} data-label={column.name}>
        <span>{column.cell(row)}</span>
      </td>
    ));
  return (
    <div class="table" role="group" aria-label={props.caption} tabIndex={0}>
      <table>
        <caption class="hidden">{props.caption}</caption>
        <thead>
          <tr>
            {props.columns.map((column, index) => (
              <th key={index} scope="col" class={column.right ? "right" : undefined}>
                {column.name || <span class="hidden">{t("Actions")}</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((row, index) => (
            <tr key={props.id(row, index)}>{line(row)}</tr>
          ))}
        </tbody>
        {props.foot && (
          <tfoot>
            <tr>{line(props.foot)}</tr>
          </tfoot>
        )}
      </table>
      {shown.length < props.rows.length && (
        <div class="pager">
          <button type="button" onClick={() => setWhole(true)}>
            {t("Show all {n}", { n: integer(props.rows.length) })}
          </button>
        </div>
      )}
    </div>
  );
}

/** Text of somebody else: isolated, so that its direction stays inside, and cut in the middle of
 * words where it is long. */
export function Text({ children }: { children: string | null | undefined }): JSX.Element {
  if (!children) return <span class="none">–</span>;
  return (
    <bdi class="text" title={children.length > 40 ? children : undefined}>
      {children}
    </bdi>
  );
}

// Forms

type FieldProps = { label: string; hint?: string; children: (id: string, described: string | undefined) => ComponentChildren };

export function Field({ label, hint, children }: FieldProps): JSX.Element {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children(id, hint ? `${id}-hint` : undefined)}
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

type InputProps = {
  label: string;
  hint?: string | undefined;
  name?: string;
  type?: "text" | "password" | "date" | "month" | "number" | "file" | "search";
  value?: string | undefined;
  defaultValue?: string | undefined;
  required?: boolean;
  maxLength?: number;
  minLength?: number;
  min?: number;
  max?: number;
  step?: string;
  pattern?: string;
  title?: string;
  placeholder?: string;
  accept?: string;
  spellcheck?: boolean;
  inputMode?: "decimal" | "numeric" | "tel";
  onChange?: (event: { currentTarget: HTMLInputElement }) => void;
  onInput?: (event: { currentTarget: HTMLInputElement }) => void;
};

export function Input(props: InputProps): JSX.Element {
  const { label, hint, ...rest } = props;
  return (
    <Field label={label} {...(hint ? { hint } : {})}>
      {(id, described) => <input id={id} aria-describedby={described} autocomplete="off" {...(rest as object)} />}
    </Field>
  );
}

export type Option = readonly [value: string, text: string];

type SelectProps = {
  label: string;
  options: readonly Option[];
  hint?: string;
  name?: string;
  value?: string | undefined;
  onChange?: (event: { currentTarget: HTMLSelectElement }) => void;
};

export function Select(props: SelectProps): JSX.Element {
  const { label, options, hint, value, ...rest } = props;
  return (
    <Field label={label} {...(hint ? { hint } : {})}>
      {(id, described) => (
        <select id={id} aria-describedby={described} value={value} {...rest}>
          {options.map(([code, text]) => (
            <option key={code} value={code} selected={code === value}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

/** The fields of a form by name, without the empty ones. */
export function fields(event: Event): Record<string, string> {
  event.preventDefault();
  const entries = [...new FormData(event.currentTarget as HTMLFormElement)];
  return Object.fromEntries(
    entries.filter((each): each is [string, string] => typeof each[1] === "string" && each[1].trim() !== "").map(([name, text]) => [name, text.trim()]),
  );
}

/** Why the caller may not give a command, "" if it may; without `roles`, everyone may. */
export function useDenied(roles: Role[] | undefined, isForAll = false): string {
  const caller = useCaller();
  if (!roles) return "";
  if (!holds(caller, roles)) return t("needs the role {roles}", { roles: roles.length ? roles.join(", ") : "admin" });
  return isForAll && !seesAll(caller) ? t("needs access to all accounts") : "";
}

export function Denied(props: { label: string; why: string }): JSX.Element {
  return (
    <span class="denied">
      {props.label}: {props.why}
    </span>
  );
}

/** A command that the role may give; else the reason why it is not offered. */
export function Command(props: {
  roles: Role[];
  label: string;
  onClick: () => void;
  kind?: "primary" | "danger";
  disabled?: boolean;
  small?: boolean;
  isForAll?: boolean; // needs access to all accounts
}): JSX.Element {
  const why = useDenied(props.roles, props.isForAll);
  if (why) return <Denied label={props.label} why={why} />;
  return (
    <button type="button" class={`${props.kind ?? ""}${props.small ? " small" : ""}`} disabled={props.disabled} onClick={props.onClick}>
      {props.label}
    </button>
  );
}

export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren; wide?: boolean }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const opener = document.activeElement;
    const shown = dialog.current;
    shown?.showModal();
    return () => {
      shown?.close(); // while it is open, nothing else takes the focus
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
    };
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby={id} class={props.wide ? "wide" : undefined} onClose={props.onClose} onCancel={props.onClose}>
      <header class="card-head">
        <h2 id={id}>{props.title}</h2>
        <button type="button" class="icon" aria-label={t("Close")} onClick={props.onClose}>
          ×
        </button>
      </header>
      {props.children}
    </dialog>
  );
}

/** The buttons at the end of a form. */
export function Buttons(props: { submit: string; isBusy?: boolean; danger?: boolean; onCancel?: () => void; disabled?: boolean; roles?: Role[]; isForAll?: boolean; children?: ComponentChildren }): JSX.Element {
  const denied = useDenied(props.roles, props.isForAll);
  return (
    <div class="buttons">
      {props.children}
      {props.onCancel && (
        <button type="button" onClick={props.onCancel}>
          {t("Cancel")}
        </button>
      )}
      {denied ? (
        <Denied label={props.submit} why={denied} />
      ) : (
        <button type="submit" class={props.danger ? "danger" : "primary"} disabled={props.isBusy || props.disabled}>
          {props.isBusy ? t("Working…") : props.submit}
        </button>
      )}
    </div>
  );
}

// Notices

let announce: (text: string) => void = () => undefined;

/** Say what a command did, on the screen and to screen readers. */
export function notify(text: string): void {
  announce(text);
}

export function Notices(): JSX.Element {
  const [text, set] = useState("");
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    announce = (next) => {
      set(next);
      clearTimeout(timer);
      timer = setTimeout(() => set(""), 8000);
    };
  }, []);
  return (
    <div class={`notice${text ? " is-shown" : ""}`} role="status" aria-live="polite">
      {text}
    </div>
  );
}

/** A part of a list of pages; the cursor stands in the address. */
export function Pager(props: { next?: string | null | undefined; isFirst: boolean; onNext: (cursor: string) => void; onFirst: () => void }): JSX.Element | null {
  if (!props.next && props.isFirst) return null;
  return (
    <nav class="pager" aria-label={t("Pages")}>
      <button type="button" disabled={props.isFirst} onClick={props.onFirst}>
        {t("First page")}
      </button>
      <button type="button" disabled={!props.next} onClick={() => props.next && props.onNext(props.next)}>
        {t("Next page")}
      </button>
    </nav>
  );
}
