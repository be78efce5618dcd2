import type { JSX } from "preact";
import { api, data, download, seg } from "../api/client";
import { ABSENT, duration, month, monthName, regionName, sign, time, words } from "../format";
import { t } from "../i18n";
import { change, go, href, usePlace } from "../router";
import { Badge, Card, Command, fields, Input, Load, Money, notify, type Option, Page, Pager, Problem, Select, Table, Text, useAccount, useAction, useLoad } from "../ui";

const FILTERS = ["from", "to", "month", "time", "kind", "status", "organizer", "cost_center", "conference", "region", "destination", "number", "bridge", "flag", "without", "min_amount", "order"] as const;
const PAGE = 50;
type Row = {
  leg: string;
  kind: string;
  status: string;
  to: string | null;
  region: string | null;
  destination: string | null;
  organizer: string | null;
  conference: string | null;
  started_at: string;
  answered_at: string | null;
  talk_seconds: number | null;
  amount: string | null;
  flags?: string[]; // not of parked legs
  corrections?: number[];
};
const any: Option = ["", t("Any")];

export default function Legs(): JSX.Element {
  const { id, time_zone: zone } = useAccount();
  const { query } = usePlace();
  const given = Object.fromEntries(FILTERS.flatMap((name) => (query[name] ? [[name, query[name]]] : [])));
  const span = query.from || query.to || query.month ? {} : { month: month(zone) };
  const filters = { ...span, ...given };
  const state = useLoad(
    async () =>
      (await data(
        api.GET("/api/v1/accounts/{account}/legs", { params: { path: { account: id }, query: { ...filters, limit: PAGE, ...(query.cursor ? { cursor: query.cursor } : {}) } as never } }),
      )) as unknown as { items: Row[]; next?: string },
    [id, filters, query.cursor],
  );
  const saving = useAction();
  const search = (event: Event): void => {
    const given = fields(event);
    go(href("legs", { account: id, ...given, ...(given.from || given.to ? { month: "" } : {}) }));
  };
  const period = query.from || query.to ? `${query.from ?? "…"} – ${query.to ?? "…"}` : monthName(String((filters as { month?: string }).month));
  return (
    <Page
      title={t("Legs")}
      about={period}
      actions={
        <Command
          roles={["reader", "finance", "operator"]}
          label={t("Save as CSV")}
          disabled={saving.isBusy}
          onClick={() => void saving.run(async () => { await download(`/api/v1/accounts/${seg(id)}/legs`, filters); notify(t("Saved.")); })}
        />
      }
    >
      {saving.error && <Problem error={saving.error} />}
      <Card title={t("Search")}>
        <form class="filters" key={JSON.stringify(given)} onSubmit={search}>
          <Input label={t("Month")} name="month" type="month" defaultValue={(filters as { month?: string }).month} />
          <Input label={t("From")} name="from" type="date" defaultValue={query.from?.slice(0, 10)} />
          <Input label={t("Before")} name="to" type="date" defaultValue={query.to?.slice(0, 10)} />
          <Select label={t("Counted by")} name="time" value={query.time ?? ""} options={[["", t("Time of the entry")], ["answered", t("Time of the call")]]} />
          <Select label={t("Kind")} name="kind" value={query.kind ?? ""} options={[any, ["dial_out", words("dial_out")], ["dial_in", words("dial_in")], ["voip", "VoIP"]]} />
          <Select label={t("Status")} name="status" value={query.status ?? ""} options={[any, ...["charged", "zero", "pool", "parked"].map((each) => [each, words(each)] as const)]} />
          <Input label={t("Organizer")} name="organizer" defaultValue={query.organizer} />
          <Input label={t("Number")} name="number" inputMode="tel" placeholder="+44…" defaultValue={query.number} />
          <Input label={t("Conference")} name="conference" defaultValue={query.conference} />
          <Input label={t("Cost center")} name="cost_center" defaultValue={query.cost_center} />
          <Input label={t("Region")} name="region" placeholder="FR" maxLength={3} defaultValue={query.region} />
          <Input label={t("Destination")} name="destination" defaultValue={query.destination} />
          <Input label={t("Bridge")} name="bridge" defaultValue={query.bridge} />
          <Input label={t("Flag")} name="flag" placeholder="late" defaultValue={query.flag} />
          <Select label={t("Without")} name="without" value={query.without ?? ""} options={[["", "–"], ...absences(query.without).map((each) => [each, each.split(",").map(words).join(", ")] as const)]} />
          <Input label={t("At least")} name="min_amount" inputMode="decimal" pattern="[0-9]+([.][0-9]+)?" title={t("An amount such as 2.50")} defaultValue={query.min_amount} />
          <Select label={t("Order")} name="order" value={query.order ?? ""} options={[["", t("Newest first")], ["oldest", t("Oldest first")], ["amount", t("Most expensive first")]]} />
          <button type="submit" class="primary">
            {t("Search")}
          </button>
          <button type="button" onClick={() => go(href("legs", { account: id }))}>
            {t("Clear")}
          </button>
        </form>
      </Card>
      <Card title={t("Found")}>
        <Load state={state} lines={8}>
          {(found) => (
            <>
              <Table
                caption={t("Legs")}
                rows={found.items}
                id={(row) => row.leg}
                empty={found.next ? t("No leg matches in this part of the period. The next page continues.") : t("No leg matches.")}
                columns={[
                  { name: t("Call"), isShort: true, cell: (row) => <a href={href("leg", { account: id, leg: row.leg })}>{time(row.answered_at ?? row.started_at, zone)}</a> },
                  { name: t("Kind"), isShort: true, cell: (row) => words(row.kind) },
                  { name: t("To"), isShort: true, cell: (row) => <Text>{row.to}</Text> },
                  { name: t("Destination"), cell: (row) => <Text>{row.destination ?? regionName(row.region)}</Text> },
                  { name: t("Organizer"), cell: (row) => <Text>{row.organizer}</Text> },
                  { name: t("Conference"), cell: (row) => <Text>{row.conference}</Text> },
                  { name: t("Talk"), right: true, cell: (row) => duration(row.talk_seconds) },
                  { name: t("Status"), cell: (row) => <Status leg={row} /> },
                  { name: t("Amount"), right: true, cell: (row) => <Money value={row.amount ?? "0.00"} /> },
                ]}
              />
              <Pager next={found.next} isFirst={!query.cursor} onNext={(cursor) => change({ cursor })} onFirst={() => change({ cursor: "" })} />
            </>
          )}
        </Load>
      </Card>
    </Page>
  );
}

/** The options of the search for legs without something; a link may name several at once. */
const absences = (given = ""): string[] => [...new Set([...ABSENT, given])].filter(Boolean);

function Status({ leg }: { leg: Row }): JSX.Element {
  const isCorrected = (leg.corrections ?? []).length > 0;
  const tone = leg.status === "parked" ? "bad" : isCorrected ? "warn" : leg.status === "charged" ? "good" : "plain";
  const text = isCorrected ? (sign(leg.amount ?? "0") === 0 ? t("Reversed") : t("Corrected")) : words(leg.status);
  return (
    <>
      <Badge tone={tone}>{text}</Badge>{" "}
      {(leg.flags ?? []).map((flag) => (
        <Badge key={flag} tone="warn">
          {words(flag)}
        </Badge>
      ))}
    </>
  );
}
