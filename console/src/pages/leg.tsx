import type { JSX } from "preact";
import { Fragment } from "preact";
import { useState } from "preact/hooks";
import { ApiError, api, data, json, seg } from "../api/client";
import { decimal, duration, integer, regionName, sign, time, words } from "../format";
import { counted, sentence, t } from "../i18n";
import { href, usePlace } from "../router";
import { Badge, Buttons, Card, Command, Dialog, Empty, fields, Input, Load, Money, notify, Page, Problem, Table, Text, useAccount, useAction, useLoad } from "../ui";

type Line = { kind: string; amount: string; from_second?: number; seconds?: number; increments?: number; price?: string; unit_seconds?: number };
type Leg = {
  leg: string;
  status: string;
  kind?: string;
  amount?: string;
  currency?: string;
  sentence?: string;
  lines?: Line[];
  rate?: { card: string; version: string; prefix: string; destination: string } | null;
  rounding?: { mode: string; decimals: number; unrounded: string } | null;
  funded_by?: { lot: string; amount: string }[];
  carrier?: { card: string; version: string; amount: string; currency: string } | null;
  balance_before?: string;
  balance_after?: string;
  entry?: number;
  zero_reason?: string;
  reason?: string;
  detail?: string;
  what_to_do?: string;
  flags?: string[];
  won_over?: string[];
} & Record<string, unknown>;
type Entry = { sequence: number; kind: string; amount: string; balance: string; at: string; reason?: string; actor?: string };
type Rerating = { dry_run: boolean; changed: number; items: { status: string; before: { amount: string }; after?: { amount: string; card: string; version: string } | null; difference?: string; detail?: string }[]; accounts: { difference: string }[] };

export default function LegPage(): JSX.Element {
  const { id } = useAccount();
  const { query } = usePlace();
  const name = query.leg ?? "";
  const path = `/api/v1/accounts/${seg(id)}/legs/${seg(name)}`;
  const leg = useLoad(async () => (await data(api.GET("/api/v1/accounts/{account}/legs/{leg}", { params: { path: { account: id, leg: name } } }))) as unknown as Leg, [id, name]);
  const entries = useLoad(() => json<{ items: Entry[] }>("GET", `/api/v1/accounts/${seg(id)}/entries`, { query: { leg: name, limit: 100 } }), [id, name]);
  const [dialog, setDialog] = useState<"reverse" | "rerate" | undefined>();
  const changed = (text: string): void => {
    setDialog(undefined);
    notify(text);
    leg.reload();
    entries.reload();
  };
  const isReversed = (entries.data?.items ?? []).some((each) => each.kind === "reversal");
  return (
    <Page
      title={t("Leg")}
      about={<Text>{name}</Text>}
      actions={
        leg.data?.status === "charged" || leg.data?.status === "pool" ? (
          <>
            <Command roles={["finance"]} label={t("Re-rate…")} onClick={() => setDialog("rerate")} disabled={isReversed} />
            <Command roles={["finance"]} kind="danger" label={t("Reverse…")} onClick={() => setDialog("reverse")} disabled={isReversed} />
          </>
        ) : undefined
      }
    >
      <Load state={leg} lines={8}>
        {(found) => (
          <div class="grid">
            <Charge leg={found} />
            <Reported leg={found} />
            <Corrections entries={entries.data?.items ?? []} error={entries.error} first={found.entry} />
            {found.entry !== undefined && <Receipt path={path} name={name} />}
            {dialog === "reverse" && <Reverse path={path} leg={found} onDone={changed} onClose={() => setDialog(undefined)} />}
            {dialog === "rerate" && <Rerate leg={found} onDone={changed} onClose={() => setDialog(undefined)} />}
          </div>
        )}
      </Load>
    </Page>
  );
}

function Charge({ leg }: { leg: Leg }): JSX.Element {
  const { id, time_zone: zone } = useAccount();
  return (
    <Card
      title={t("Charge")}
      wide
      actions={
        <>
          <Badge tone={leg.status === "parked" ? "bad" : leg.status === "charged" ? "good" : "plain"}>{words(leg.status)}</Badge>
          {(leg.flags ?? []).map((flag) => (
            <Badge key={flag} tone="warn">
              {words(flag)}
            </Badge>
          ))}
        </>
      }
    >
      {leg.amount !== undefined && (
        <p class="figures">
          <strong>
            <Money value={leg.amount} {...(leg.currency ? { currency: leg.currency } : {})} />
          </strong>
          {leg.entry !== undefined && <span class="against">{t("Entry {n}", { n: leg.entry })}</span>}
        </p>
      )}
      {leg.sentence && <p class="sentence">{leg.sentence}</p>}
      {leg.zero_reason && <p class="banner info">{t("No charge: {why}", { why: words(leg.zero_reason) })}</p>}
      {leg.status === "parked" && (
        <p class="banner">
          {words(leg.reason ?? "")}. {sentence(leg.detail)} {leg.what_to_do && t(leg.what_to_do)} <a href={href("parked", { account: id, ...(leg.reason ? { reason: leg.reason } : {}) })}>{t("Parked legs")}</a>
        </p>
      )}
      {(leg.lines ?? []).length > 0 && (
        <Table<Line & { isSum?: boolean }>
          caption={t("Lines of the charge")}
          rows={leg.lines ?? []}
          id={(_, index) => index}
          {...(leg.amount ? { foot: { kind: "sum", amount: leg.amount, isSum: true } } : {})}
          columns={[
            { name: t("Line"), cell: (line) => (line.isSum ? (leg.rounding ? counted(leg.rounding.decimals, "Rounded {mode} to {n} decimal", "Rounded {mode} to {n} decimals", { mode: words(leg.rounding.mode).toLowerCase() }) : t("Total")) : words(line.kind)) },
            { name: t("From second"), right: true, cell: (line) => (line.from_second === undefined ? "" : integer(line.from_second)) },
            { name: t("Seconds"), right: true, cell: (line) => (line.seconds === undefined ? "" : integer(line.seconds)) },
            { name: t("Increments"), right: true, cell: (line) => (line.increments === undefined ? "" : integer(line.increments)) },
            { name: t("Price"), right: true, cell: (line) => (line.price === undefined ? "" : <><Money value={line.price} /> / {line.unit_seconds} s</>) },
            { name: t("Amount"), right: true, cell: (line) => <Money value={line.amount} /> },
          ]}
        />
      )}
      <dl class="facts">
        {leg.rate && (
          <>
            <dt>{t("Rate")}</dt>
            <dd>
              <a href={href("cards", { account: id, card: leg.rate.card, version: leg.rate.version })}>{leg.rate.card}</a>, {t("version of {time}", { time: time(leg.rate.version, zone) })}, {t("prefix {prefix}", { prefix: leg.rate.prefix })} ({leg.rate.destination})
            </dd>
          </>
        )}
        {(leg.won_over ?? []).length > 0 && (
          <>
            <dt>{t("Shorter prefixes")}</dt>
            <dd>{(leg.won_over ?? []).join(", ")}</dd>
          </>
        )}
        {leg.rounding && (
          <>
            <dt>{t("Before rounding")}</dt>
            <dd>{decimal(leg.rounding.unrounded)}</dd>
          </>
        )}
        {(leg.funded_by ?? []).length > 0 && (
          <>
            <dt>{t("Paid by")}</dt>
            <dd>
              {(leg.funded_by ?? []).map((each, index) => (
                <span key={each.lot}>
                  {index > 0 && ", "}
                  <a href={href("credits", { account: id })}>{each.lot}</a>: <Money value={each.amount} />
                </span>
              ))}
            </dd>
          </>
        )}
        {leg.balance_before !== undefined && leg.balance_after !== undefined && (
          <>
            <dt>{t("Balance")}</dt>
            <dd>
              <Money value={leg.balance_before} /> → <Money value={leg.balance_after} />
            </dd>
          </>
        )}
        {leg.carrier && (
          <>
            <dt>{t("Purchasing")}</dt>
            <dd>
              <Money value={leg.carrier.amount} currency={leg.carrier.currency} /> ({leg.carrier.card})
            </dd>
          </>
        )}
      </dl>
    </Card>
  );
}

const REPORTED = ["bridge", "kind", "from", "from_received", "to", "to_received", "conference", "organizer", "cost_center", "region", "number_class", "license", "started_at", "answered_at", "ended_at", "talk_seconds", "billed_seconds", "authorization", "hangup_cause"];

function Reported({ leg }: { leg: Leg }): JSX.Element {
  const { time_zone: zone } = useAccount();
  const shown = (name: string): JSX.Element | string => {
    const value = leg[name];
    if (typeof value === "number") return `${duration(value)} (${integer(value)} s)`;
    const text = String(value);
    if (name.endsWith("_at")) return time(text, zone);
    if (name === "region") return `${regionName(text)} (${text})`;
    if (["kind", "number_class", "license"].includes(name)) return words(text);
    return <Text>{text}</Text>;
  };
  return (
    <Card title={t("Record of the bridge")}>
      <dl class="facts">
        {REPORTED.filter((name) => leg[name] !== null && leg[name] !== undefined).map((name) => (
          <div key={name} class="fact">
            <dt>{words(name)}</dt>
            <dd>{shown(name)}</dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}

function Corrections(props: { entries: Entry[]; error: ApiError | undefined; first: number | undefined }): JSX.Element {
  const { time_zone: zone } = useAccount();
  return (
    <Card title={t("Entries and corrections")}>
      {props.error && <Problem error={props.error} />}
      <Table
        caption={t("Entries and corrections")}
        rows={props.entries}
        id={(row) => row.sequence}
        empty={t("No entry.")}
        columns={[
          { name: t("Entry"), cell: (row) => `${row.sequence} · ${words(row.kind)}` },
          { name: t("At"), isShort: true, cell: (row) => time(row.at, zone) },
          { name: t("Why"), cell: (row) => <Text>{row.reason}</Text> },
          { name: t("Amount"), right: true, cell: (row) => <Money value={row.amount} signed /> },
          { name: t("Balance"), right: true, cell: (row) => <Money value={row.balance} /> },
        ]}
      />
    </Card>
  );
}

/** The signed receipt, to be saved and verified by anybody without the product. */
function Receipt({ path, name }: { path: string; name: string }): JSX.Element {
  const action = useAction();
  const [isOpenDay, setOpenDay] = useState(false);
  const save = (interim: boolean): void =>
    void action.run(async () => {
      try {
        const receipt = await json<object>("GET", `${path}/receipt`, { query: interim ? { interim: true } : {} });
        const link = document.createElement("a");
        link.href = URL.createObjectURL(new Blob([JSON.stringify(receipt, null, 2)], { type: "application/json" }));
        link.download = `receipt-${name.replace(/[^\w.-]+/g, "_")}.json`;
        link.click();
        URL.revokeObjectURL(link.href);
        setOpenDay(false);
        notify(t("Saved."));
      } catch (error) {
        if (!(error instanceof ApiError) || error.code !== "day_open") throw error;
        setOpenDay(true);
      }
    });
  return (
    <Card title={t("Receipt")}>
      <p class="about">{t("A signed record of this charge, with its rate and its place in the ledger. tools/verify_receipt.py verifies the record without Perminute.")}</p>
      {action.error && <Problem error={action.error} />}
      {isOpenDay && <p class="banner info">{t("The day is not closed yet. An interim receipt signs the present state.")}</p>}
      <div class="buttons">
        <button type="button" disabled={action.isBusy} onClick={() => save(isOpenDay)}>
          {isOpenDay ? t("Save an interim receipt") : t("Save the receipt")}
        </button>
      </div>
    </Card>
  );
}

type Reversal = { entry: { amount: string }; balance_before: string; balance: string; owed: string; lots: { lot: string; amount: string; expires_at?: string }[] };

function Reverse(props: { path: string; leg: Leg; onDone: (text: string) => void; onClose: () => void }): JSX.Element {
  const { currency, time_zone: zone } = useAccount();
  const action = useAction();
  const foreseen = useLoad(() => json<Reversal>("POST", `${props.path}/reversal`, { body: { dry_run: true } }), [props.path]);
  const submit = (event: Event): void => {
    const { reason } = fields(event);
    void action.run(async () => {
      await json("POST", `${props.path}/reversal`, { body: { reason } });
      props.onDone(t("The leg is reversed."));
    });
  };
  return (
    <Dialog title={t("Reverse this leg")} onClose={props.onClose}>
      <form onSubmit={submit}>
        <p>{t("The present charge goes back to the lots that paid it. A leg can be reversed once.")}</p>
        <Load state={foreseen}>
          {(found) => (
            <dl class="facts">
              <dt>{t("Amount that goes back")}</dt>
              <dd>
                <Money value={found.entry.amount} currency={currency} signed />
              </dd>
              {sign(found.owed) > 0 && (
                <>
                  <dt>{t("Part that pays the negative balance")}</dt>
                  <dd>
                    <Money value={found.owed} />
                  </dd>
                </>
              )}
              {found.lots.map((each) => (
                <Fragment key={each.lot}>
                  <dt>{each.expires_at ? t("New lot {lot}, until {time}", { lot: each.lot, time: time(each.expires_at, zone) }) : t("Lot {lot}", { lot: each.lot })}</dt>
                  <dd>
                    <Money value={each.amount} />
                  </dd>
                </Fragment>
              ))}
              <dt>{t("Balance")}</dt>
              <dd>
                <Money value={found.balance_before} /> → <Money value={found.balance} />
              </dd>
            </dl>
          )}
        </Load>
        <Input label={t("Reason")} name="reason" required maxLength={200} />
        {action.error && <Problem error={action.error} />}
        <Buttons submit={t("Reverse")} danger isBusy={action.isBusy} disabled={!foreseen.data} onCancel={props.onClose} />
      </form>
    </Dialog>
  );
}

function Rerate(props: { leg: Leg; onDone: (text: string) => void; onClose: () => void }): JSX.Element {
  const { id, currency } = useAccount();
  const action = useAction();
  const [tried, setTried] = useState<Rerating | undefined>();
  const [body, setBody] = useState<Record<string, unknown>>({});
  const request = (event: Event): void => {
    const { card, reason } = fields(event);
    const wanted = { accounts: [id], legs: [props.leg.leg], ...(card ? { rate_card: card } : {}), ...(reason ? { reason } : {}) };
    void action.run(async () => {
      setBody(wanted);
      setTried(await json<Rerating>("POST", "/api/v1/reratings", { body: { ...wanted, dry_run: true } }));
    });
  };
  const book = (): void =>
    void action.run(async () => {
      await json("POST", "/api/v1/reratings", { body: { ...body, dry_run: false } });
      props.onDone(t("The leg is re-rated."));
    });
  const item = tried?.items[0];
  return (
    <Dialog title={t("Re-rate this leg")} onClose={props.onClose}>
      <form onSubmit={request}>
        <Input label={t("Rate card")} name="card" hint={t("Empty: the account's card with its present versions.")} />
        <Input label={t("Reason")} name="reason" maxLength={200} hint={t("The correction keeps the reason.")} />
        {action.error && <Problem error={action.error} />}
        {tried &&
          (item?.after ? (
            <p class="banner info">
              <Money value={item.before.amount} /> → <Money value={item.after.amount} currency={currency} /> ({t("difference")} <Money value={item.difference ?? "0.00"} signed />)
            </p>
          ) : (
            <Empty>{item?.detail ? sentence(item.detail) : t("Nothing would change.")}</Empty>
          ))}
        <div class="buttons">
          <button type="button" onClick={props.onClose}>
            {t("Cancel")}
          </button>
          <button type="submit" class={tried ? "" : "primary"} disabled={action.isBusy}>
            {t("Calculate")}
          </button>
          {tried && tried.changed > 0 && (
            <button type="button" class="primary" disabled={action.isBusy || !body.reason} title={body.reason ? undefined : t("A reason is needed")} onClick={book}>
              {t("Book the correction")}
            </button>
          )}
        </div>
      </form>
    </Dialog>
  );
}
