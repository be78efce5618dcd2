import type { JSX } from "preact";
import { download, json, seg } from "../api/client";
import { duration, integer, time, words } from "../format";
import { counted, sentence, t } from "../i18n";
import { change, go, href, usePlace } from "../router";
import { Badge, Card, Command, Denied, Empty, fields, Input, Load, notify, Page, Pager, Problem, Select, Stat, Table, Text, useAccount, useAction, useDenied, useLoad } from "../ui";

type Status = {
  status: string;
  reasons: (string | { code: string; detail: string })[];
  queue: { messages: number | null; oldest_seconds: number | null; dead_letters: number | null };
  inbox: { messages: number; oldest_seconds: number | null };
  outbox: { oldest_seconds: number | null };
  parked: { open: number; by_reason: Record<string, number> };
  timers: { name: string; last_success_at: string | null; late: boolean; late_after_seconds: number }[];
  last_charge_at: string | null;
  webhooks: { failing: number };
  bridges: { bridge: string; last_post_at: string | null; last_leg_at: string | null; legs_24h: number; parked_24h: number; ignored_24h: Record<string, number> }[];
  version: string;
};
type Change = { at: string; actor: string; action: string; kind: string; key: string; account?: string; before: object | null; after: object | null; request_id: string };
type DeadLetter = { id: string; leg?: string; event?: string; enqueued_at: string; deliveries: number; reason: string };

const count = (value: number | null): string => (value === null ? t("unknown") : integer(value));

export default function StatusPage(): JSX.Element {
  const { time_zone: zone } = useAccount();
  const state = useLoad(() => json<Status>("GET", "/api/v1/status"), []);
  return (
    <Page title={t("Status")} about={t("Charging, queues, timers and bridges.")} actions={<button type="button" onClick={state.reload}>{t("Refresh")}</button>}>
      <Load state={state} lines={6}>
        {(found) => (
          <>
            <p class={`banner ${found.status === "ok" ? "good" : found.status === "degraded" ? "warn" : ""}`} role="status">
              <strong>{found.status === "ok" ? t("No problems") : words(found.status)}</strong>
            </p>
            {found.reasons.length > 0 && (
              <Card title={t("Present problems")}>
                <ul class="rows">
                  {found.reasons.map((reason, index) => (
                    <li key={index}>{typeof reason === "string" ? reason : <div><strong>{words(reason.code)}</strong> <p class="small">{sentence(reason.detail)}</p></div>}</li>
                  ))}
                </ul>
              </Card>
            )}
            <dl class="stats">
              <Stat label={t("Legs in the queue")} note={found.queue.oldest_seconds === null ? undefined : t("the oldest waits {n} s", { n: found.queue.oldest_seconds })}>
                {count(found.queue.messages)}
              </Stat>
              <Stat label={t("Stored while the queue was unavailable")}>{count(found.inbox.messages)}</Stat>
              <Stat label={t("Dead letters")} tone={found.queue.dead_letters ? "bad" : ""}>
                {count(found.queue.dead_letters)}
              </Stat>
              <Stat label={t("Parked legs, open")} tone={found.parked.open ? "warn" : ""}>
                <a href={href("parked", { all: "true" })}>{integer(found.parked.open)}</a>
              </Stat>
              <Stat label={t("Failing webhooks")} tone={found.webhooks.failing ? "bad" : ""}>
                {integer(found.webhooks.failing)}
              </Stat>
              <Stat label={t("Last charge")} note={t("version {version}", { version: found.version })}>
                <span class="medium">{time(found.last_charge_at, zone)}</span>
              </Stat>
            </dl>
            <div class="grid">
              <Card title={t("Bridges")}>
                <Table
                  caption={t("Bridges")}
                  rows={found.bridges}
                  id={(row) => row.bridge}
                  empty={t("No bridge has posted yet.")}
                  columns={[
                    { name: t("Bridge"), cell: (row) => <Text>{row.bridge}</Text> },
                    { name: t("Last post"), isShort: true, cell: (row) => time(row.last_post_at, zone) },
                    { name: t("Last leg"), isShort: true, cell: (row) => (row.last_leg_at ? time(row.last_leg_at, zone) : t("no leg yet")) },
                    { name: t("Legs, 24 h"), right: true, cell: (row) => integer(row.legs_24h) },
                    { name: t("Parked, 24 h"), right: true, cell: (row) => integer(row.parked_24h) },
                    { name: t("Ignored, 24 h"), right: true, cell: (row) => integer(Object.values(row.ignored_24h).reduce((all, each) => all + each, 0)) },
                  ]}
                />
              </Card>
              <Card title={t("Timers")}>
                <Table
                  caption={t("Timers")}
                  rows={found.timers}
                  id={(row) => row.name}
                  columns={[
                    { name: t("Timer"), cell: (row) => words(row.name) },
                    { name: t("Last success"), isShort: true, cell: (row) => time(row.last_success_at, zone) },
                    { name: t("Late after"), right: true, cell: (row) => duration(row.late_after_seconds) },
                    { name: "", cell: (row) => <Badge tone={row.late ? "bad" : "good"}>{row.late ? t("Late") : t("On time")}</Badge> },
                  ]}
                />
              </Card>
            </div>
          </>
        )}
      </Load>
      <DeadLetters />
      <AuditLog />
    </Page>
  );
}

function DeadLetters(): JSX.Element | null {
  const { time_zone: zone } = useAccount();
  const denied = useDenied(["operator"], true);
  const state = useLoad(async () => (denied ? { items: [] } : await json<{ items: DeadLetter[] }>("GET", "/api/v1/dead-letters")), [denied]);
  const action = useAction();
  if (denied) return <p class="small"><Denied label={t("Dead letters")} why={denied} /></p>;
  if (state.data && state.data.items.length === 0) return null;
  return (
    <Card title={t("Dead letters")}>
      {action.error && <Problem error={action.error} />}
      <Load state={state}>
        {({ items }) => (
          <Table
            caption={t("Dead letters")}
            rows={items}
            id={(row) => row.id}
            columns={[
              { name: t("Received"), isShort: true, cell: (row) => time(row.enqueued_at, zone) },
              { name: t("Leg or event"), cell: (row) => <Text>{row.leg ?? row.event ?? row.id}</Text> },
              { name: t("Why"), cell: (row) => <Text>{row.reason}</Text> },
              { name: t("Tries"), right: true, cell: (row) => integer(row.deliveries) },
              {
                name: "",
                cell: (row) => (
                  <Command
                    roles={["operator"]}
                    small
                    label={t("Replay")}
                    disabled={action.isBusy}
                    onClick={() => void action.run(async () => { await json("POST", `/api/v1/dead-letters/${seg(row.id)}/replay`, { body: {} }); notify(t("Replayed.")); state.reload(); })}
                  />
                ),
              },
            ]}
          />
        )}
      </Load>
    </Card>
  );
}

const KINDS = ["account", "dial_out_policy", "organizer", "conference", "service_number", "webhook", "dial_out", "bridge", "api_key", "rate_card"];

function AuditLog(): JSX.Element {
  const { id, time_zone: zone } = useAccount();
  const { query } = usePlace();
  const filters = { kind: query.kind, actor: query.actor, from: query.from, to: query.to, account: query.of === "account" ? id : undefined };
  const state = useLoad(() => json<{ items: Change[]; next?: string }>("GET", "/api/v1/audit-log", { query: { ...filters, limit: 25, cursor: query.cursor } }), [filters, query.cursor]);
  const action = useAction();
  return (
    <Card title={t("Audit log")} actions={<button type="button" disabled={action.isBusy} onClick={() => void action.run(() => download("/api/v1/audit-log", filters))}>{t("Save as CSV")}</button>}>
      {action.error && <Problem error={action.error} />}
      <form class="filters" key={JSON.stringify(filters)} onSubmit={(event) => go(href("status", { account: id, ...fields(event) }))}>
        <Select label={t("Kind")} name="kind" value={query.kind ?? ""} options={[["", t("Any")], ...KINDS.map((each) => [each, words(each)] as const)]} />
        <Input label={t("By")} name="actor" defaultValue={query.actor} />
        <Input label={t("From")} name="from" type="date" defaultValue={query.from} />
        <Input label={t("Before")} name="to" type="date" defaultValue={query.to} />
        <Select label={t("Scope")} name="of" value={query.of ?? ""} options={[["", t("All accounts")], ["account", t("This account")]]} />
        <button type="submit">{t("Search")}</button>
      </form>
      <Load state={state} lines={6}>
        {(found) => (
          <>
            {found.items.length === 0 ? (
              <Empty>{t("No change matches.")}</Empty>
            ) : (
              <Table
                caption={t("Audit log")}
                rows={found.items}
                id={(row, index) => `${row.request_id}${index}`}
                columns={[
                  { name: t("At"), isShort: true, cell: (row) => time(row.at, zone) },
                  { name: t("By"), cell: (row) => <Text>{row.actor}</Text> },
                  { name: t("Change"), cell: (row) => `${words(row.kind)}: ${words(row.action).toLowerCase()}` },
                  { name: t("Item"), cell: (row) => <Text>{row.key}</Text> },
                  { name: t("Account"), cell: (row) => <Text>{row.account}</Text> },
                  { name: t("Difference"), cell: (row) => <Difference row={row} /> },
                ]}
              />
            )}
            <Pager next={found.next} isFirst={!query.cursor} onNext={(cursor) => change({ cursor })} onFirst={() => change({ cursor: "" })} />
          </>
        )}
      </Load>
    </Card>
  );
}

/** The fields that a change touched. */
function Difference({ row }: { row: Change }): JSX.Element {
  const [before, after] = [row.before ?? {}, row.after ?? {}] as Record<string, unknown>[];
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])].filter((name) => JSON.stringify(before?.[name]) !== JSON.stringify(after?.[name]));
  if (names.length === 0) return <span class="none">–</span>;
  return (
    <details>
      <summary>{counted(names.length, "{n} field", "{n} fields")}</summary>
      <ul class="small">
        {names.map((name) => (
          <li key={name}>
            <code>{name}</code>: <bdi>{JSON.stringify(before?.[name] ?? null)}</bdi> → <bdi>{JSON.stringify(after?.[name] ?? null)}</bdi>
          </li>
        ))}
      </ul>
    </details>
  );
}
