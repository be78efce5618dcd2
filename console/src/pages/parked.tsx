import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { json, seg } from "../api/client";
import { duration, integer, time, words } from "../format";
import { counted, sentence, t } from "../i18n";
import { change, href, usePlace } from "../router";
import { Badge, Buttons, Card, Command, Dialog, Empty, Input, Load, Money, notify, Page, Pager, Problem, Select, Table, Text, useAccount, useAction, useDenied, useLoad } from "../ui";

type Original = Record<string, string | number | null>;
type Parked = { id: string; leg: string; bridge: string; account?: string | null; reason: string; detail: string; what_to_do?: string; received_at: string; original: Original | string | null; attempts: number; status: string };
type Summary = { total: number; by_reason: Record<string, number> };
type Replayed = { open: number; replayed: number; dismissed: number; next?: string };
const PAGE = 25;
/** The fields that can be corrected in place, and which of them a reason is about. */
const FIELDS = ["account", "conference_id", "organizer_id", "kind", "from", "to", "started_at", "answered_at", "ended_at", "talk_seconds", "authorization"] as const;
const ABOUT: Record<string, string[]> = {
  rate_missing: ["to"],
  number_invalid: ["to"],
  account_unknown: ["account", "conference_id"],
  account_ambiguous: ["account"],
  inconsistent: ["answered_at", "ended_at", "talk_seconds"],
  incomplete: ["conference_id", "to", "kind"],
  kind_unknown: ["kind"],
  authorization_used: ["authorization"],
};

export default function ParkedLegs(): JSX.Element {
  const { id, time_zone: zone } = useAccount();
  const { query } = usePlace();
  const status = query.status ?? "open";
  const everywhere = query.all === "true";
  const filters = { status, reason: query.reason, account: everywhere ? undefined : id };
  const summary = useLoad(() => json<Summary>("GET", "/api/v1/parked-legs", { query: { ...filters, reason: undefined, summary: true } }), [status, id, everywhere]);
  const list = useLoad(() => json<{ items: Parked[]; next?: string }>("GET", "/api/v1/parked-legs", { query: { ...filters, limit: PAGE, cursor: query.cursor } }), [filters, query.cursor]);
  const [chosen, choose] = useState<Parked | undefined>();
  const [many, setMany] = useState<"replay" | "dismiss" | undefined>();
  const denied = useDenied(["operator"]);
  const refresh = (text: string): void => {
    choose(undefined);
    setMany(undefined);
    notify(text);
    summary.reload();
    list.reload();
  };
  return (
    <Page
      title={t("Parked legs")}
      about={t("Legs that could not be charged, kept until they are corrected and replayed.")}
      actions={
        status === "open" ? (
          <>
            <Command roles={["operator"]} isForAll={everywhere} label={t("Dismiss many…")} onClick={() => setMany("dismiss")} />
            <Command roles={["operator"]} isForAll={everywhere} kind="primary" label={t("Replay many…")} onClick={() => setMany("replay")} />
          </>
        ) : undefined
      }
    >
      <Card title={t("By reason")}>
        <div class="filters">
          <Select label={t("Status")} value={status} options={["open", "replayed", "dismissed"].map((each) => [each, words(each)] as const)} onChange={(event) => change({ status: event.currentTarget.value, cursor: "", reason: "" })} />
          <Select
            label={t("Scope")}
            value={everywhere ? "all" : "one"}
            options={[
              ["one", t("This account")],
              ["all", t("All accounts, and legs without one")],
            ]}
            onChange={(event) => change({ all: event.currentTarget.value === "all" ? "true" : "", cursor: "" })}
          />
        </div>
        <Load state={summary}>
          {(found) =>
            found.total === 0 ? (
              <Empty>{t("None.")}</Empty>
            ) : (
              <div class="chips" role="group" aria-label={t("Reasons")}>
                <button type="button" aria-pressed={!query.reason} onClick={() => change({ reason: "", cursor: "" })}>
                  {t("All")} <b>{integer(found.total)}</b>
                </button>
                {Object.entries(found.by_reason).map(([reason, count]) => (
                  <button key={reason} type="button" aria-pressed={query.reason === reason} onClick={() => change({ reason, cursor: "" })}>
                    {words(reason)} <b>{integer(count)}</b>
                  </button>
                ))}
              </div>
            )
          }
        </Load>
      </Card>
      <Card title={query.reason ? words(query.reason) : t("Oldest first")}>
        <Load state={list} lines={6}>
          {(found) => (
            <>
              <Table
                caption={t("Parked legs")}
                rows={found.items}
                id={(row) => row.id}
                empty={t("No parked leg here.")}
                columns={[
                  { name: t("Received"), isShort: true, cell: (row) => time(row.received_at, zone) },
                  { name: t("Leg"), cell: (row) => <Text>{row.leg}</Text> },
                  ...(everywhere ? [{ name: t("Account"), cell: (row: Parked) => <Text>{row.account}</Text> }] : []),
                  { name: t("Why"), cell: (row) => <Why row={row} /> },
                  { name: t("To"), isShort: true, cell: (row) => <Text>{field(row, "to")}</Text> },
                  { name: t("Talk"), right: true, cell: (row) => duration(Number(field(row, "talk_seconds") ?? 0)) },
                  { name: t("Tries"), right: true, cell: (row) => integer(row.attempts) },
                  { name: "", cell: (row) => (status === "open" ? <button type="button" class="small" onClick={() => choose(row)}>{denied ? t("Show…") : t("Correct…")}</button> : <a href={href("leg", { account: row.account ?? id, leg: row.leg })}>{t("Leg")}</a>) },
                ]}
              />
              <Pager next={found.next} isFirst={!query.cursor} onNext={(cursor) => change({ cursor })} onFirst={() => change({ cursor: "" })} />
            </>
          )}
        </Load>
      </Card>
      {chosen && <Correct row={chosen} onDone={refresh} onClose={() => choose(undefined)} />}
      {many && <Many command={many} reason={query.reason} account={filters.account} count={query.reason ? (summary.data?.by_reason[query.reason] ?? 0) : (summary.data?.total ?? 0)} onDone={refresh} onClose={() => setMany(undefined)} />}
    </Page>
  );
}

function field(row: Parked, name: string): string | null {
  if (!row.original || typeof row.original === "string") return null;
  const value = row.original[name];
  return value === null || value === undefined ? null : String(value);
}

function Why({ row }: { row: Parked }): JSX.Element {
  return (
    <>
      <Badge tone="warn">{words(row.reason)}</Badge>
      <span class="detail">
        <bdi>{sentence(row.detail)}</bdi> {row.what_to_do && t(row.what_to_do)}
      </span>
    </>
  );
}

type DialogProps = { onDone: (text: string) => void; onClose: () => void };

function Correct({ row, onDone, onClose }: DialogProps & { row: Parked }): JSX.Element {
  const { id } = useAccount();
  const action = useAction();
  const [charged, setCharged] = useState<{ amount: string; currency: string; leg: string; account: string } | undefined>();
  const isRecord = !!row.original && typeof row.original === "object" && "leg_id" in row.original;
  const about = ABOUT[row.reason] ?? [];
  const submit = (event: Event): void => {
    event.preventDefault();
    const leg: Record<string, string | number | null> = {};
    for (const [name, value] of new FormData(event.currentTarget as HTMLFormElement)) {
      const before = field(row, name) ?? "";
      const text = String(value).trim();
      if (text !== before) leg[name] = text === "" ? null : name === "talk_seconds" && /^\d{1,7}$/.test(text) ? Number(text) : text;
    }
    void action.run(async () => {
      const done = await json<Parked>("POST", `/api/v1/parked-legs/${seg(row.id)}/replay`, { body: Object.keys(leg).length ? { leg } : {} });
      if (done.status !== "replayed") {
        onDone(t("Still parked: {why}", { why: sentence(done.detail) }));
        return;
      }
      const account = done.account ?? (typeof leg.account === "string" ? leg.account : id);
      try {
        const charge = await json<{ amount: string; currency: string }>("GET", `/api/v1/accounts/${seg(account)}/legs/${seg(done.leg)}`);
        setCharged({ ...charge, leg: done.leg, account });
      } catch {
        onDone(t("Replayed."));
      }
    });
  };
  const dismiss = (): void =>
    void action.run(async () => {
      await json("POST", `/api/v1/parked-legs/${seg(row.id)}/dismiss`, { body: {} });
      onDone(t("Dismissed."));
    });
  if (charged) {
    return (
      <Dialog title={t("Replayed")} onClose={() => onDone(t("Replayed."))}>
        <p class="banner good">
          {t("The leg is charged:")} <Money value={charged.amount} currency={charged.currency} />
        </p>
        <div class="buttons">
          <a class="button" href={href("leg", { account: charged.account, leg: charged.leg })}>
            {t("Show the leg")}
          </a>
          <button type="button" class="primary" onClick={() => onDone(t("Replayed."))}>
            {t("Close")}
          </button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title={t("Correct and replay")} wide onClose={onClose}>
      <p>
        <Why row={row} />
      </p>
      <p class="small">
        {t("Leg")} <bdi>{row.leg}</bdi>
        {row.account && (
          <>
            {" · "}
            {t("Account")} <bdi>{row.account}</bdi>
          </>
        )}
      </p>
      <form onSubmit={submit}>
        {isRecord ? (
          <div class="two">
            {[...about, ...FIELDS.filter((name) => !about.includes(name))].map((name) => (
              <Input key={name} label={`${words(name)}${about.includes(name) ? ` · ${t("likely cause")}` : ""}`} name={name} defaultValue={field(row, name) ?? ""} />
            ))}
          </div>
        ) : (
          <>
            <p class="banner info">{t("The record is unreadable, so that no field can be corrected here. Correct the bridge's settings and replay the record, or dismiss it.")}</p>
            <pre tabIndex={0}>{typeof row.original === "string" ? row.original : JSON.stringify(row.original, null, 2)}</pre>
          </>
        )}
        {action.error && <Problem error={action.error} />}
        <Buttons submit={t("Replay")} roles={["operator"]} isBusy={action.isBusy} onCancel={onClose}>
          <Command roles={["operator"]} kind="danger" label={t("Dismiss")} disabled={action.isBusy} onClick={dismiss} />
        </Buttons>
      </form>
    </Dialog>
  );
}

/** Replay or dismiss all parked legs of a reason, a page after the other. */
function Many(props: DialogProps & { command: "replay" | "dismiss"; reason: string | undefined; account: string | undefined; count: number }): JSX.Element {
  const action = useAction();
  const [done, setDone] = useState({ replayed: 0, dismissed: 0, open: 0 });
  const isOpen = useRef(true);
  useEffect(() => () => void (isOpen.current = false), []);
  const submit = (event: Event): void => {
    event.preventDefault();
    const note = String(new FormData(event.currentTarget as HTMLFormElement).get("note") ?? "");
    void action.run(async () => {
      let cursor: string | undefined;
      const sum = { replayed: 0, dismissed: 0, open: 0 };
      do {
        const body = { limit: 100, ...(props.reason ? { reason: props.reason } : {}), ...(props.account ? { account: props.account } : {}), ...(cursor ? { cursor } : {}), ...(props.command === "dismiss" ? { note } : {}) };
        const page: Replayed = await json("POST", `/api/v1/parked-legs/${props.command}`, { body });
        sum.replayed += page.replayed;
        sum.dismissed += page.dismissed;
        sum.open += page.open;
        setDone({ ...sum });
        cursor = page.next;
      } while (cursor && isOpen.current); // a dialog that is closed ends the work
      props.onDone(t("Replayed {replayed}, dismissed {dismissed}, still parked {open}.", sum));
    });
  };
  const total = done.replayed + done.dismissed + done.open;
  return (
    <Dialog title={props.command === "replay" ? t("Replay many") : t("Dismiss many")} onClose={props.onClose}>
      <form onSubmit={submit}>
        <p>
          {counted(props.count, "{n} open parked leg", "{n} open parked legs")}
          {props.reason ? ` (${words(props.reason)})` : ""}. {props.command === "replay" ? t("Each leg is charged, or stays parked if its cause remains.") : t("Dismissed legs are never charged.")}
        </p>
        {props.command === "dismiss" && <Input label={t("Note")} name="note" required maxLength={200} />}
        {action.isBusy && <progress max={Math.max(props.count, 1)} value={total} aria-label={t("Done so far")} />}
        {action.error && <Problem error={action.error} />}
        <Buttons submit={props.command === "replay" ? t("Replay") : t("Dismiss")} danger={props.command === "dismiss"} isBusy={action.isBusy} onCancel={props.onClose} />
      </form>
    </Dialog>
  );
}
