import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { api, book, data, download, json, newKey, seg, send } from "../api/client";
import { day, midnight, month, monthName, shift, sign, time, words } from "../format";
import { t } from "../i18n";
import { change, href, usePlace } from "../router";
import { Badge, Buttons, Card, Command, Dialog, fields, Input, Load, Money, notify, Page, Pager, Problem, Select, Stat, Table, Text, useAccount, useAction, useLoad } from "../ui";

type Recharge = { id: string; status: string; amount: string; currency: string; requested_at: string; reference?: string };
type AutoRecharge = { trigger: string; amount: string; max_per_day?: number; max_per_month?: number; max_amount_per_month?: string | null };
type Entry = { sequence: number; kind: string; amount: string; balance: string; at: string; leg?: string; reference?: string; reason?: string; actor?: string };

export default function Credits(): JSX.Element {
  const account = useAccount();
  const { id, currency, time_zone: zone } = account;
  const detail = useLoad(() => data(api.GET("/api/v1/accounts/{account}", { params: { path: { account: id } } })), [id]);
  const recharges = useLoad(() => json<{ items: Recharge[] }>("GET", `/api/v1/accounts/${seg(id)}/recharges`, { query: { limit: 50 } }), [id]);
  const [dialog, setDialog] = useState<"top-up" | "adjust" | "recharge" | undefined>();
  const [version, again] = useState(0);
  const done = (text: string): void => {
    setDialog(undefined);
    notify(text);
    detail.reload();
    recharges.reload();
    again(version + 1);
  };
  const close = (): void => setDialog(undefined);
  return (
    <Page
      title={t("Credits")}
      about={<Text>{account.name || id}</Text>}
      actions={
        <>
          <Command roles={["finance"]} label={t("Adjust…")} onClick={() => setDialog("adjust")} />
          <Command roles={["finance"]} kind="primary" label={t("Top up…")} onClick={() => setDialog("top-up")} />
        </>
      }
    >
      <Load state={detail} lines={6}>
        {(found) => {
          const rule = (found as { auto_recharge?: AutoRecharge | null }).auto_recharge;
          return (
            <>
              <dl class="stats">
                <Stat label={t("Balance")}>
                  <Money value={found.balance} currency={currency} />
                </Stat>
                <Stat label={t("Held")} note={t("for calls in progress")}>
                  <Money value={found.held} currency={currency} />
                </Stat>
                <Stat label={t("Available")}>
                  <Money value={found.available} currency={currency} />
                </Stat>
                <Stat label={t("Credit limit")}>
                  <Money value={found.credit_limit} currency={currency} />
                </Stat>
              </dl>
              <div class="grid">
                <Card title={t("Lots, in the order in which they pay")} wide>
                  <Table
                    caption={t("Lots")}
                    rows={found.lots}
                    id={(lot) => lot.id ?? ""}
                    empty={t("There is no lot yet: top up the account.")}
                    columns={[
                      { name: t("Lot"), cell: (lot) => lot.id },
                      { name: t("Kind"), isShort: true, cell: (lot) => words(lot.kind ?? "") },
                      { name: t("Since"), isShort: true, cell: (lot) => day(lot.purchased_at, zone) },
                      { name: t("Expires"), cell: (lot) => <Expiry lot={lot as Lot} zone={zone} /> },
                      { name: t("Amount"), right: true, cell: (lot) => <Money value={lot.amount} /> },
                      { name: t("Remaining"), right: true, cell: (lot) => <Money value={lot.remaining} /> },
                    ]}
                  />
                </Card>
                <Card title={t("Automatic recharge")} actions={<Command roles={["finance"]} small label={t("Change…")} onClick={() => setDialog("recharge")} />}>
                  {rule ? (
                    <dl class="facts">
                      <dt>{t("Below")}</dt>
                      <dd>
                        <Money value={rule.trigger} currency={currency} />
                      </dd>
                      <dt>{t("Buy")}</dt>
                      <dd>
                        <Money value={rule.amount} currency={currency} />
                      </dd>
                      <dt>{t("At most")}</dt>
                      <dd>
                        {t("{day} a day, {month} a month", { day: rule.max_per_day ?? "–", month: rule.max_per_month ?? "–" })}
                        {rule.max_amount_per_month && (
                          <>
                            {", "}
                            <Money value={rule.max_amount_per_month} currency={currency} />
                          </>
                        )}
                      </dd>
                    </dl>
                  ) : (
                    <p class="empty">{t("Off: nothing is bought automatically.")}</p>
                  )}
                </Card>
                <Card title={t("Recharges")}>
                  <Load state={recharges}>
                    {({ items }) => (
                      <Table
                        caption={t("Recharges")}
                        rows={items}
                        id={(row) => row.id}
                        empty={t("No recharge was requested yet.")}
                        columns={[
                          { name: t("Requested"), isShort: true, cell: (row) => time(row.requested_at, zone) },
                          { name: t("Status"), cell: (row) => <Badge tone={row.status === "succeeded" ? "good" : row.status === "declined" ? "bad" : "plain"}>{words(row.status)}</Badge> },
                          { name: t("Amount"), right: true, cell: (row) => <Money value={row.amount} /> },
                        ]}
                      />
                    )}
                  </Load>
                </Card>
              </div>
              {dialog === "recharge" && <RechargeDialog rule={rule} etag={found.etag} onDone={done} onClose={() => { close(); detail.reload(); }} />}
            </>
          );
        }}
      </Load>
      <Entries version={version} />
      {dialog === "top-up" && <TopUp onDone={done} onClose={close} />}
      {dialog === "adjust" && <Adjust onDone={done} onClose={close} />}
    </Page>
  );
}

type Lot = { remaining: string; expires_at?: string | null };

function Expiry({ lot, zone }: { lot: Lot; zone: string }): JSX.Element {
  if (!lot.expires_at) return <>{t("Never")}</>;
  const isOver = new Date(lot.expires_at) < new Date();
  return (
    <>
      {day(lot.expires_at, zone)} {isOver ? <Badge tone="bad">{t("Expired")}</Badge> : sign(lot.remaining) === 0 ? <Badge tone="plain">{t("Used up")}</Badge> : null}
    </>
  );
}

function Entries({ version }: { version: number }): JSX.Element {
  const { id, time_zone: zone } = useAccount();
  const { query } = usePlace();
  const shown = query.month ?? month(zone);
  const path = `/api/v1/accounts/${seg(id)}/entries`;
  const filters = { month: shown, kind: query.kind };
  const state = useLoad(() => json<{ items: Entry[]; next?: string }>("GET", path, { query: { ...filters, limit: 50, cursor: query.cursor } }), [id, filters, query.cursor, version]);
  const action = useAction();
  return (
    <Card
      title={t("Entries of {month}", { month: monthName(shown) })}
      actions={
        <>
          <a class="button" href={href("statement", { account: id, month: shown })}>
            {t("Statement")}
          </a>
          <button type="button" disabled={action.isBusy} onClick={() => void action.run(() => download(path, filters))}>
            {t("Save as CSV")}
          </button>
        </>
      }
    >
      {action.error && <Problem error={action.error} />}
      <div class="filters">
        <div class="stepper">
          <button type="button" onClick={() => change({ month: shift(shown, -1), cursor: "" })}>
            {t("Earlier month")}
          </button>
          <button type="button" onClick={() => change({ month: shift(shown, 1), cursor: "" })}>
            {t("Later month")}
          </button>
        </div>
        <Select
          label={t("Kind")}
          value={query.kind ?? ""}
          options={[["", t("Any")], ...["top_up", "grant", "adjustment", "debit", "reversal", "expiry"].map((each) => [each, words(each)] as const)]}
          onChange={(event) => change({ kind: event.currentTarget.value, cursor: "" })}
        />
      </div>
      <Load state={state} lines={6}>
        {(found) => (
          <>
            <Table
              caption={t("Entries")}
              rows={found.items}
              id={(row) => row.sequence}
              empty={t("No entry in this month.")}
              columns={[
                { name: t("Entry"), cell: (row) => row.sequence },
                { name: t("At"), isShort: true, cell: (row) => time(row.at, zone) },
                { name: t("Kind"), isShort: true, cell: (row) => words(row.kind) },
                { name: t("For"), cell: (row) => (row.leg ? <a href={href("leg", { account: id, leg: row.leg })}><Text>{row.leg}</Text></a> : <Text>{row.reference ?? row.reason}</Text>) },
                { name: t("By"), cell: (row) => <Text>{row.actor}</Text> },
                { name: t("Amount"), right: true, cell: (row) => <Money value={row.amount} signed /> },
                { name: t("Balance"), right: true, cell: (row) => <Money value={row.balance} /> },
              ]}
            />
            <Pager next={found.next} isFirst={!query.cursor} onNext={(cursor) => change({ cursor })} onFirst={() => change({ cursor: "" })} />
          </>
        )}
      </Load>
    </Card>
  );
}

/** The notice about a booking that an earlier try made, whose answer was lost. */
const booked = (balance: string, currency: string): string => t("Nothing is booked twice: an earlier try was carried out. The balance is {balance} {currency}.", { balance, currency });

type DialogProps = { onDone: (text: string) => void; onClose: () => void };
const AMOUNT = "[0-9]+([.][0-9]{1,6})?";

function TopUp({ onDone, onClose }: DialogProps): JSX.Element {
  const { id, currency, time_zone: zone } = useAccount();
  const action = useAction();
  // One key for all tries of this dialog, and of an equal one: a lost answer does not top up twice.
  const key = useMemo(newKey, []);
  const submit = (event: Event): void => {
    const { amount, kind, reference, expires } = fields(event);
    void action.run(async () => {
      const body = { amount, kind, ...(reference ? { reference } : {}), ...(expires ? { expires_at: midnight(expires, zone) } : {}) };
      const answer = await book<{ balance: string }>(`/api/v1/accounts/${seg(id)}/top-ups`, body, key);
      onDone(answer.isRepeated ? booked(answer.balance, currency) : t("Topped up: the balance is {balance} {currency}.", { balance: answer.balance, currency }));
    });
  };
  return (
    <Dialog title={t("Top up")} onClose={onClose}>
      <form onSubmit={submit}>
        <div class="two">
          <Input label={t("Amount in {currency}", { currency })} name="amount" inputMode="decimal" pattern={AMOUNT} title={t("An amount such as 2.50")} required />
          <Select label={t("Kind")} name="kind" options={[["purchased", t("Purchased: expires after 12 months")], ["granted", t("Granted: expires only at a date")]]} />
        </div>
        <Input label={t("Reference")} name="reference" maxLength={200} hint={t("Such as the number of an invoice.")} />
        <Input label={t("Expires at")} name="expires" type="date" />
        <p class="small">
          {t("Idempotency key:")} <code>{key}</code>
        </p>
        {action.error && <Problem error={action.error} />}
        <Buttons submit={t("Top up")} isBusy={action.isBusy} onCancel={onClose} />
      </form>
    </Dialog>
  );
}

function Adjust({ onDone, onClose }: DialogProps): JSX.Element {
  const { id, currency } = useAccount();
  const action = useAction();
  const key = useMemo(newKey, []);
  const submit = (event: Event): void => {
    const { amount, reason, overdraft } = fields(event);
    void action.run(async () => {
      const body = { amount, reason, ...(overdraft ? { allow_overdraft: true } : {}) };
      const answer = await book<{ balance: string }>(`/api/v1/accounts/${seg(id)}/adjustments`, body, key);
      onDone(answer.isRepeated ? booked(answer.balance, currency) : t("Adjusted: the balance is {balance} {currency}.", { balance: answer.balance, currency }));
    });
  };
  return (
    <Dialog title={t("Adjust the balance")} onClose={onClose}>
      <form onSubmit={submit}>
        <Input label={t("Amount in {currency}", { currency })} name="amount" pattern={`-?${AMOUNT}`} title={t("An amount such as -2.50")} required hint={t("A negative amount is taken from the oldest lots.")} />
        <Input label={t("Reason")} name="reason" required maxLength={200} />
        <label class="check">
          <input type="checkbox" name="overdraft" /> {t("The balance may become negative")}
        </label>
        {action.error && <Problem error={action.error} />}
        <Buttons submit={t("Adjust")} isBusy={action.isBusy} onCancel={onClose} />
      </form>
    </Dialog>
  );
}

function RechargeDialog({ rule, etag, onDone, onClose }: DialogProps & { rule: AutoRecharge | null | undefined; etag: string }): JSX.Element {
  const { id, currency } = useAccount();
  const action = useAction();
  const save = (value: object | null, text: string): void =>
    void action.run(async () => {
      await send("PATCH", `/api/v1/accounts/${seg(id)}`, { body: { auto_recharge: value }, headers: { "If-Match": etag } });
      onDone(text);
    });
  const submit = (event: Event): void => {
    const { trigger, amount, per_day, per_month, most } = fields(event);
    save({ trigger, amount, ...(per_day ? { max_per_day: Number(per_day) } : {}), ...(per_month ? { max_per_month: Number(per_month) } : {}), max_amount_per_month: most ?? null }, t("Automatic recharge is set."));
  };
  return (
    <Dialog title={t("Automatic recharge")} onClose={onClose}>
      <form onSubmit={submit}>
        <div class="two">
          <Input label={t("When the balance is below, in {currency}", { currency })} name="trigger" pattern={AMOUNT} required defaultValue={rule?.trigger} />
          <Input label={t("Buy, in {currency}", { currency })} name="amount" pattern={AMOUNT} required defaultValue={rule?.amount} />
          <Input label={t("At most a day")} name="per_day" type="number" min={1} defaultValue={rule?.max_per_day?.toString()} />
          <Input label={t("At most a month")} name="per_month" type="number" min={1} defaultValue={rule?.max_per_month?.toString()} />
          <Input label={t("At most a month, in {currency}", { currency })} name="most" pattern={AMOUNT} defaultValue={rule?.max_amount_per_month ?? undefined} />
        </div>
        {action.error && <Problem error={action.error} />}
        <div class="buttons">
          {rule && (
            <button type="button" disabled={action.isBusy} onClick={() => save(null, t("Automatic recharge is off."))}>
              {t("Switch off")}
            </button>
          )}
          <button type="button" onClick={onClose}>
            {t("Cancel")}
          </button>
          <button type="submit" class="primary" disabled={action.isBusy}>
            {t("Save")}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
