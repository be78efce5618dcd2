import type { JSX } from "preact";
import { json, seg } from "../api/client";
import { integer, minutes, month, monthName, shift, words } from "../format";
import { counted, t } from "../i18n";
import { change, usePlace } from "../router";
import { Card, Load, Money, Page, Stat, Table, Text, useAccount, useLoad } from "../ui";

type Group = { name: string | null; count: number; amount: string; billed_seconds?: number; pool_seconds?: number };
type Statement = {
  opening: string;
  closing: string;
  re_adds: boolean;
  charges: { count: number; amount: string };
  by_kind: Group[];
  by_leg_kind: Group[];
  by_destination: Group[];
  by_organizer: Group[];
  by_cost_center: Group[];
  parked: { open: number };
};

export default function StatementPage(): JSX.Element {
  const { id, name, currency, time_zone: zone } = useAccount();
  const { query } = usePlace();
  const shown = query.month ?? month(zone);
  const state = useLoad(() => json<Statement>("GET", `/api/v1/accounts/${seg(id)}/statements/${shown}`), [id, shown]);
  return (
    <Page
      title={t("Statement of {month}", { month: monthName(shown) })}
      about={<Text>{name || id}</Text>}
      actions={
        <>
          <button type="button" onClick={() => change({ month: shift(shown, -1) })}>
            {t("Earlier month")}
          </button>
          <button type="button" onClick={() => change({ month: shift(shown, 1) })}>
            {t("Later month")}
          </button>
          <button type="button" class="primary" onClick={() => print()}>
            {t("Print")}
          </button>
        </>
      }
    >
      <Load state={state} lines={8}>
        {(found) => (
          <>
            <dl class="stats">
              <Stat label={t("Opening balance")}>
                <Money value={found.opening} currency={currency} />
              </Stat>
              <Stat label={t("Charges, net")} note={counted(found.charges.count, "{n} leg", "{n} legs")}>
                <Money value={found.charges.amount} currency={currency} />
              </Stat>
              <Stat label={t("Closing balance")} note={found.re_adds ? t("adds up with the entries") : undefined}>
                <Money value={found.closing} currency={currency} />
              </Stat>
              <Stat label={t("Parked legs, open")}>{integer(found.parked.open)}</Stat>
            </dl>
            <Part title={t("By kind of entry")} rows={found.by_kind} isEntries isCode />
            <Part title={t("By kind of leg")} rows={found.by_leg_kind} isCode />
            <Part title={t("By destination")} rows={found.by_destination} />
            <Part title={t("By organizer")} rows={found.by_organizer} />
            <Part title={t("By cost center")} rows={found.by_cost_center} />
          </>
        )}
      </Load>
    </Page>
  );
}

function Part({ title, rows, isEntries, isCode }: { title: string; rows: Group[]; isEntries?: boolean; isCode?: boolean }): JSX.Element {
  return (
    <Card title={title}>
      <Table
        caption={title}
        rows={rows}
        id={(_, index) => index}
        columns={[
          { name: t("Name"), cell: (row) => (row.name === null ? t("None") : isCode ? words(row.name) : <Text>{row.name}</Text>) },
          { name: t("Count"), right: true, cell: (row) => integer(row.count) },
          ...(isEntries
            ? []
            : [
                { name: t("Billed"), right: true, cell: (row: Group) => minutes(row.billed_seconds) },
                { name: t("Included"), right: true, cell: (row: Group) => minutes(row.pool_seconds) },
              ]),
          { name: t("Amount"), right: true, cell: (row) => <Money value={row.amount} /> },
        ]}
      />
    </Card>
  );
}
