import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { api, data, json, seg } from "../api/client";
import { Columns, type Series } from "../chart";
import { day, duration, month, monthName, regionName, shift, size, time, words } from "../format";
import { counted, sentence, t } from "../i18n";
import { href } from "../router";
import { Badge, Buttons, Card, Command, Dialog, Empty, fields, Input, Load, Money, notify, Page, Problem, Stat, Table, Text, useAccount, useAction, useLoad } from "../ui";

const REGIONS_SHOWN = 5;
const CALLS_EVERY_MS = 4000;

export default function Overview(): JSX.Element {
  const account = useAccount();
  const detail = useLoad(() => data(api.GET("/api/v1/accounts/{account}", { params: { path: { account: account.id } } })), [account.id]);
  return (
    <Page title={t("Overview")} about={<Text>{account.name || account.id}</Text>}>
      <Load state={detail}>
        {(found) => (
          <dl class="stats">
            <Stat label={t("Available")} note={t("for calls now")}>
              <Money value={found.available} currency={found.currency} />
            </Stat>
            <Stat label={t("Balance")} note={t("open lots: {n}", { n: found.lots.filter((lot) => size(lot.remaining) > 0).length })}>
              <Money value={found.balance} currency={found.currency} />
            </Stat>
            <Stat label={t("Held")} note={t("for calls in progress")}>
              <Money value={found.held} currency={found.currency} />
            </Stat>
            <Forecast />
          </dl>
        )}
      </Load>
      <div class="grid">
        <Spend />
        <Calls />
        <Alerts />
      </div>
    </Page>
  );
}

type RunsOut = { known: boolean; why?: string; at?: string | null; hours_left?: number | null; between?: (string | null)[]; chance?: string; within_days?: number };

function Forecast(): JSX.Element {
  const { id, time_zone: zone } = useAccount();
  const outlook = useLoad(() => json<{ runs_out: RunsOut }>("GET", `/api/v1/accounts/${seg(id)}/outlook`), [id]);
  if (outlook.error) return <Stat label={t("Lasts until")} note={sentence(outlook.error.message)}>{t("unknown")}</Stat>;
  const known = outlook.data?.runs_out;
  if (!known) {
    return (
      <Stat label={t("Lasts until")}>
        <span class="is-stale">…</span>
      </Stat>
    );
  }
  if (!known.known) return <Stat label={t("Lasts until")} note={sentence(known.why)}>{t("unknown")}</Stat>;
  const [early, late] = known.between ?? [];
  const beyond = counted(known.within_days ?? 0, "over {n} day", "over {n} days");
  return (
    <Stat
      label={t("Lasts until")}
      note={early ? t("{chance} between {early} and {late}", { chance: known.chance ?? "", early: day(early, zone), late: late ? day(late, zone) : beyond }) : undefined}
    >
      {known.at ? day(known.at, zone) : beyond}
    </Stat>
  );
}

function Spend(): JSX.Element {
  const { id, currency, time_zone: zone } = useAccount();
  const thisMonth = month(zone);
  const lastMonth = shift(thisMonth, -1);
  const usage = (query: { month?: string; from?: string; to?: string; group_by?: string }) =>
    data(api.GET("/api/v1/accounts/{account}/usage", { params: { path: { account: id }, query: { ...query, time: "answered" as const } } }));
  const state = useLoad(
    () => Promise.all([usage({ month: thisMonth, group_by: "day,region" }), usage({ month: lastMonth, group_by: "day" })]),
    [id, thisMonth],
  );
  return (
    <Card title={t("Spend in {month}", { month: monthName(thisMonth) })} wide actions={<a href={href("usage", { account: id, month: thisMonth, time: "answered", by: "day" })}>{t("Usage")}</a>}>
      <Load state={state} lines={6}>
        {([now, before]) => {
          type Item = { day?: string; region?: string | null; amount: string };
          const items = now.items as unknown as Item[];
          const previous = before.items as unknown as Item[];
          const [year = 2000, number = 1] = thisMonth.split("-").map(Number);
          const days = Array.from({ length: new Date(Date.UTC(year, number, 0)).getUTCDate() }, (_, index) => String(index + 1).padStart(2, "0"));
          return (
            <>
              <p class="figures">
                <strong>
                  <Money value={now.total.amount} currency={currency} />
                </strong>{" "}
                {counted(now.total.legs, "in {n} leg", "in {n} legs")}
                <span class="small">{t("by the time of the call")}</span>
                <span class="against">
                  {t("{month}:", { month: monthName(lastMonth) })} <Money value={before.total.amount} currency={currency} />
                </span>
              </p>
              {items.length || previous.length ? (
                <Columns
                  label={t("Spend by day, stacked by region; dashed: {month}", { month: monthName(lastMonth) })}
                  ticks={days.map((text) => String(Number(text)))}
                  series={stacks(items, days)}
                  line={previous.length ? { name: monthName(lastMonth), values: days.map((text) => sum(previous, (each) => each.day?.slice(8) === text)) } : undefined}
                  unit={currency}
                />
              ) : (
                <Empty>{t("No leg was charged this month or last month.")}</Empty>
              )}
            </>
          );
        }}
      </Load>
    </Card>
  );
}

type Item = { day?: string; region?: string | null; amount: string };
const sum = (items: Item[], fits: (item: Item) => boolean): number => items.filter(fits).reduce((all, each) => all + size(each.amount), 0);

/** One series per region that costs most, and one for all others. */
function stacks(items: Item[], days: string[]): Series[] {
  const regions = [...new Set(items.map((each) => each.region ?? ""))].sort((a, b) => sum(items, (each) => (each.region ?? "") === b) - sum(items, (each) => (each.region ?? "") === a));
  const shown = regions.slice(0, REGIONS_SHOWN);
  const of = (name: string, fits: (item: Item) => boolean): Series => ({
    name,
    values: days.map((text) => sum(items, (each) => each.day?.slice(8) === text && fits(each))),
  });
  const series = shown.map((code) => of(regionName(code), (each) => (each.region ?? "") === code));
  if (regions.length > shown.length) series.push(of(t("Others"), (each) => !shown.includes(each.region ?? "")));
  return series;
}

type Alert = { id: string; type: string; status: string; raised_at: string; data: Record<string, unknown> };

function Alerts(): JSX.Element {
  const { id, time_zone: zone } = useAccount();
  const state = useLoad(() => json<{ items: Alert[] }>("GET", `/api/v1/accounts/${seg(id)}/alerts`, { query: { limit: 200 } }), [id]);
  const action = useAction();
  const acknowledge = (alert: Alert): void =>
    void action.run(async () => {
      await json("POST", `/api/v1/accounts/${seg(id)}/alerts/${seg(alert.id)}/acknowledge`, { body: {} });
      notify(t("Acknowledged."));
      state.reload();
    });
  return (
    <Card title={t("Open alerts")} wide>
      {action.error && <Problem error={action.error} />}
      <Load state={state}>
        {({ items }) => {
          const open = items.filter((each) => each.status === "open");
          if (open.length === 0) return <Empty>{t("No open alert.")}</Empty>;
          return (
            <ul class="rows">
              {open.map((alert) => (
                <li key={alert.id}>
                  <div>
                    <strong>{words(alert.type.replace(".", "_"))}</strong>
                    {typeof alert.data.alert === "string" && <bdi class="small"> {alert.data.alert}</bdi>}
                    <p class="small">
                      {time(alert.raised_at, zone)}
                      {typeof alert.data.balance === "string" && (
                        <>
                          {" · "}
                          {t("Balance")} <Money value={alert.data.balance} />
                        </>
                      )}
                    </p>
                    {typeof alert.data.what_to_do === "string" && <p class="small">{t(alert.data.what_to_do)}</p>}
                  </div>
                  <Command roles={["finance", "operator"]} small label={t("Acknowledge")} disabled={action.isBusy} onClick={() => acknowledge(alert)} />
                </li>
              ))}
            </ul>
          );
        }}
      </Load>
    </Card>
  );
}

type Call = { authorization: string; to: string; region?: string | null; organizer?: string | null; conference?: string | null; since: string; held: string; amount_so_far?: string; price_per_minute?: string };
type Calls = { items: Call[]; available?: string; burn_per_minute?: string; seconds_left?: number | null; exhausted_at?: string | null };
type DialOutState = { stopped: boolean; suspended: boolean; reason?: string | null };

function Calls(): JSX.Element {
  const { id, currency, time_zone: zone } = useAccount();
  const state = useLoad(() => json<DialOutState>("GET", `/api/v1/accounts/${seg(id)}/dial-out-policy/state`), [id]);
  const calls = useLoad(() => json<Calls>("GET", `/api/v1/accounts/${seg(id)}/calls`), [id]);
  const [isStopping, setStopping] = useState(false);
  const action = useAction();
  const isIdle = useRef(true);
  isIdle.current = !calls.isLoading; // a slow answer is awaited, not requested again
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible" && isIdle.current) calls.reload();
    }, CALLS_EVERY_MS);
    return () => clearInterval(timer);
  }, [id]);
  const command = (name: "stop" | "restart", body: object, said: string): void =>
    void action.run(async () => {
      await json("POST", `/api/v1/accounts/${seg(id)}/dial-out-policy/${name}`, { body });
      setStopping(false);
      notify(said);
      state.reload();
      calls.reload();
    });
  return (
    <Card
      title={t("Calls in progress")}
      wide
      actions={
        state.data &&
        (state.data.stopped ? (
          <Command roles={["operator"]} label={t("Restart dial-out")} disabled={action.isBusy} onClick={() => command("restart", {}, t("Dial-out is restarted."))} />
        ) : (
          <Command roles={["operator"]} kind="danger" label={t("Stop dial-out")} onClick={() => setStopping(true)} />
        ))
      }
    >
      {state.error && <Problem error={state.error} />}
      {action.error && !isStopping && <Problem error={action.error} />}
      {state.data?.stopped && (
        <p class="banner bad" role="status">
          {t("Dial-out is stopped:")} <Text>{state.data.reason}</Text>
        </p>
      )}
      <Load state={calls}>
        {(found) => (
          <>
            {found.items.length > 0 && (
              <p class="figures">
                {found.burn_per_minute && (
                  <span>
                    <strong>
                      <Money value={found.burn_per_minute} currency={currency} />
                    </strong>{" "}
                    {t("a minute")}
                  </span>
                )}
                {found.seconds_left !== null && found.seconds_left !== undefined && (
                  <span class="against">{t("Credit for {time} at this rate", { time: duration(found.seconds_left) })}</span>
                )}
              </p>
            )}
            <Table
              caption={t("Calls in progress")}
              rows={found.items}
              id={(row) => row.authorization}
              empty={t("No call is in progress.")}
              columns={[
                { name: t("To"), isShort: true, cell: (row) => <Text>{row.to}</Text> },
                { name: t("Region"), cell: (row) => regionName(row.region) },
                { name: t("Organizer"), cell: (row) => <Text>{row.organizer}</Text> },
                { name: t("Since"), isShort: true, cell: (row) => time(row.since, zone) },
                { name: t("Per minute"), right: true, cell: (row) => (row.price_per_minute ? <Money value={row.price_per_minute} /> : "–") },
                { name: t("So far"), right: true, cell: (row) => (row.amount_so_far ? <Money value={row.amount_so_far} /> : "–") },
                { name: t("Held"), right: true, cell: (row) => <Money value={row.held} /> },
              ]}
            />
          </>
        )}
      </Load>
      {isStopping && (
        <Dialog title={t("Stop dial-out")} onClose={() => setStopping(false)}>
          <form onSubmit={(event) => command("stop", fields(event), t("Dial-out is stopped."))}>
            <p>
              {t("No new dial-out is allowed until you restart dial-out. Bridges with a control URL end the calls in progress: {n}.", { n: calls.data?.items.length ?? 0 })}{" "}
              <Badge tone="warn">{t("Participants are disconnected")}</Badge>
            </p>
            <Input label={t("Reason")} name="reason" required maxLength={200} hint={t("Shown in denials and in the audit log.")} />
            {action.error && <Problem error={action.error} />}
            <Buttons submit={t("Stop dial-out")} danger isBusy={action.isBusy} onCancel={() => setStopping(false)} />
          </form>
        </Dialog>
      )}
    </Card>
  );
}
