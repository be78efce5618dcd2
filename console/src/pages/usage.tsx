import type { JSX } from "preact";
import { api, data, download, seg } from "../api/client";
import { Columns } from "../chart";
import { ABSENT, integer, minutes, month, monthName, regionName, shift, size, words } from "../format";
import { t } from "../i18n";
import { change, href, usePlace } from "../router";
import { Card, Command, Empty, fields, Load, Money, notify, Page, Problem, Select, Table, Text, useAccount, useAction, useLoad, Input, type Option } from "../ui";

const GROUPS = ["organizer", "cost_center", "conference", "kind", "region", "destination", "number_class", "bridge", "day", "week", "month", "hour"] as const;
const OVER_TIME = new Set(["day", "week", "month", "hour"]);
const BARS = 12;
type Item = Record<string, unknown> & { legs: number; answered_legs: number; billed_seconds: number; pool_seconds: number; amount: string; talk_seconds?: number };

export default function Usage(): JSX.Element {
  const { id, currency, time_zone: zone } = useAccount();
  const { query } = usePlace();
  const isSpan = !!(query.from || query.to);
  const span = isSpan ? { from: query.from, to: query.to } : { month: query.month ?? month(zone) };
  const first = query.by ?? "organizer";
  const second = query.then ?? "";
  const group = second && second !== first ? `${first},${second}` : first;
  const order = query.order ?? (OVER_TIME.has(first) ? "group" : "amount");
  const filter = { ...span, group_by: group, order, limit: 500, ...(query.time ? { time: query.time } : {}) };
  const state = useLoad(
    () => data(api.GET("/api/v1/accounts/{account}/usage", { params: { path: { account: id }, query: filter as never } })),
    [id, filter],
  );
  const saving = useAction();
  const names: Option[] = GROUPS.map((each) => [each, words(each)]);
  const groups = group.split(",");
  return (
    <Page
      title={t("Usage")}
      about={isSpan ? `${query.from ?? "…"} – ${query.to ?? "…"}` : monthName(span.month ?? "")}
      actions={
        <Command
          roles={["reader", "finance", "operator"]}
          label={t("Save as CSV")}
          disabled={saving.isBusy}
          onClick={() => void saving.run(async () => { await download(`/api/v1/accounts/${seg(id)}/usage`, { ...filter, limit: undefined }); notify(t("Saved.")); })}
        />
      }
    >
      {saving.error && <Problem error={saving.error} />}
      <Card title={t("Period and groups")}>
        <div class="filters">
          <div class="stepper">
            <button type="button" onClick={() => change({ month: shift(span.month ?? month(zone), -1), from: "", to: "" })}>
              {t("Earlier month")}
            </button>
            <button type="button" onClick={() => change({ month: shift(span.month ?? month(zone), 1), from: "", to: "" })}>
              {t("Later month")}
            </button>
          </div>
          <Select label={t("Group by")} value={first} options={names} onChange={(event) => change({ by: event.currentTarget.value })} />
          <Select label={t("Then by")} value={second} options={[["", t("Nothing else")], ...names]} onChange={(event) => change({ then: event.currentTarget.value })} />
          <Select label={t("Order")} value={order} options={[["amount", t("Amount")], ["legs", t("Legs")], ["group", t("Name")]]} onChange={(event) => change({ order: event.currentTarget.value })} />
          <Select label={t("Counted by")} value={query.time ?? "booked"} options={[["booked", t("Time of the entry")], ["answered", t("Time of the call")]]} onChange={(event) => change({ time: event.currentTarget.value === "booked" ? "" : event.currentTarget.value })} />
        </div>
        <form class="filters" key={`${query.from}|${query.to}`} onSubmit={(event) => { const { from, to } = fields(event); change({ from, to, month: from || to ? "" : query.month }); }}>
          <Input label={t("From")} name="from" type="date" defaultValue={query.from?.slice(0, 10)} />
          <Input label={t("Before")} name="to" type="date" defaultValue={query.to?.slice(0, 10)} />
          <button type="submit">{t("Apply")}</button>
          {isSpan && <button type="button" onClick={() => change({ from: "", to: "" })}>{t("Whole month")}</button>}
        </form>
      </Card>
      <Card title={t("By {groups}", { groups: groups.map(words).join(", ").toLowerCase() })} wide>
        <Load state={state} lines={8}>
          {(found) => {
            const items = found.items as unknown as Item[];
            const total = { ...(found.total as unknown as Item), isTotal: true } as Item;
            if (items.length === 0) return <Empty>{t("No leg was charged in this period.")}</Empty>;
            return (
              <>
                {OVER_TIME.has(first) ? <OverTime items={items} groups={groups} unit={currency} /> : <Bars items={items} groups={groups} />}
                <Table
                  caption={t("Usage by {groups}", { groups: groups.map(words).join(", ").toLowerCase() })}
                  rows={items}
                  foot={total}
                  id={(_, index) => index}
                  columns={[
                    ...groups.map((name, index) => ({
                      name: words(name),
                      cell: (row: Item) => (row.isTotal ? (index ? "" : t("Total")) : <Group row={row} name={name} groups={groups} span={span} time={query.time} />),
                    })),
                    { name: t("Legs"), right: true, cell: (row) => integer(row.legs) },
                    { name: t("Answered"), right: true, cell: (row) => integer(row.answered_legs) },
                    { name: t("Talk"), right: true, cell: (row) => minutes(row.talk_seconds) },
                    { name: t("Billed"), right: true, cell: (row) => minutes(row.billed_seconds) },
                    { name: t("Included"), right: true, cell: (row) => minutes(row.pool_seconds) },
                    { name: t("Amount"), right: true, cell: (row) => <Money value={row.amount} /> },
                  ]}
                />
              </>
            );
          }}
        </Load>
      </Card>
    </Page>
  );
}

function label(name: string, value: unknown, isOther = false): string {
  if (isOther) return t("Others");
  if (value === null || value === undefined || value === "") return t("None");
  const text = String(value);
  if (name === "region") return regionName(text);
  if (name === "kind" || name === "number_class") return words(text);
  if (name === "hour") return `${text.padStart(2, "0")}:00`;
  return text;
}

/** A group's name; a link to its legs where legs can be searched by all groups of the row. */
function Group(props: { row: Item; name: string; groups: string[]; span: { month?: string; from?: string | undefined; to?: string | undefined }; time: string | undefined }): JSX.Element {
  const { id } = useAccount();
  const text = label(props.name, props.row[props.name], props.row.other === true);
  const filters: Record<string, string | undefined> = { account: id, month: props.span.month, from: props.span.from, to: props.span.to, time: props.time };
  const absent: string[] = [];
  for (const group of props.groups) {
    const value = props.row[group];
    if (value === null && ABSENT.includes(group)) {
      absent.push(group);
    } else if (typeof value !== "string" || !value || props.row.other === true) {
      return <Text>{text}</Text>;
    } else if (group === "day") {
      const next = new Date(`${value}T00:00:00Z`);
      next.setUTCDate(next.getUTCDate() + 1);
      Object.assign(filters, { month: undefined, from: value, to: next.toISOString().slice(0, 10) });
    } else if (group === "month") {
      Object.assign(filters, { month: value, from: undefined, to: undefined });
    } else if (["week", "hour", "number_class"].includes(group)) {
      return <Text>{text}</Text>;
    } else {
      filters[group] = value;
    }
  }
  return (
    <a href={href("legs", { ...filters, without: absent.join(",") })}>
      <Text>{text}</Text>
    </a>
  );
}

function Bars({ items, groups }: { items: Item[]; groups: string[] }): JSX.Element {
  const most = Math.max(...items.map((each) => size(each.amount)), 0.000001);
  return (
    <ol class="bars" aria-hidden="true">
      {items.slice(0, BARS).map((each, index) => (
        <li key={index}>
          <span class="bar-name">
            <bdi>{each.other === true ? t("Others") : groups.map((name) => label(name, each[name])).join(" · ")}</bdi>
          </span>
          <span class="bar">
            <i style={{ width: `${Math.max(0, (size(each.amount) / most) * 100)}%` }} />
          </span>
          <Money value={each.amount} />
        </li>
      ))}
    </ol>
  );
}

function OverTime({ items, groups, unit }: { items: Item[]; groups: string[]; unit: string }): JSX.Element {
  const [first = "", second] = groups;
  const ticks = [...new Set(items.map((each) => String(each[first])))].sort((a, b) => (first === "hour" ? Number(a) - Number(b) : a.localeCompare(b)));
  const of = (fits: (item: Item) => boolean): number[] => ticks.map((tick) => items.filter((each) => String(each[first]) === tick && fits(each)).reduce((all, each) => all + size(each.amount), 0));
  const kinds = second ? [...new Set(items.map((each) => String(each[second] ?? "")))].slice(0, 5) : [];
  const series = second
    ? [
        ...kinds.map((kind) => ({ name: label(second, kind), values: of((each) => String(each[second] ?? "") === kind) })),
        { name: t("Others"), values: of((each) => !kinds.includes(String(each[second] ?? ""))) },
      ].filter((each) => each.values.some((value) => value !== 0))
    : [{ name: t("Amount"), values: of(() => true) }];
  const short = (tick: string): string => (first === "day" ? String(Number(tick.slice(8))) : label(first, tick));
  return <Columns label={t("Amount by {groups}", { groups: groups.map(words).join(", ") })} ticks={ticks.map(short)} series={series} unit={unit} />;
}
