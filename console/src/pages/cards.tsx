import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { json, seg, send } from "../api/client";
import { integer, monthName, regionName, sign, time, words } from "../format";
import { counted, t } from "../i18n";
import { change, usePlace } from "../router";
import { Badge, Buttons, Card, Command, Denied, Empty, fields, Input, Load, Money, notify, Page, Problem, Select, Stat, Table, Text, useAccount, useAction, useDenied, useLoad } from "../ui";

type Version = { effective_from: string; currency: string; rate_count: number; written_at: string };
type CardInfo = { id: string; versions: Version[] };
type PriceList = { currency: string; version: string; countries: { region: string; name: string; calling_code: string; prices: Record<string, Price | null> }[] };
type Price = { price_per_minute: string; connection_fee: string };
type Finding = { code: string; severity: string; detail: string; count: number; examples: string[] };
type Quote = { status: string; amount?: string; currency?: string; sentence?: string; denied?: { reason: string } };
type Sums = { legs: number; before: string; after: string; difference: string };
type Effect = Sums & { month: string; complete: boolean; currency: string; from: { card: string; version: string }; no_rate_after: number; destinations: (Sums & { destination: string })[] };

export default function Cards(): JSX.Element {
  const account = useAccount();
  const { query } = usePlace();
  const cards = useLoad(() => json<{ items: { id: string }[] }>("GET", "/api/v1/rate-cards", { query: { limit: 1000 } }), []);
  const own = (account as { rate_card?: string }).rate_card ?? "default";
  const card = query.card ?? own;
  const tab = query.tab ?? "prices";
  const tabs = [
    ["prices", t("Prices")],
    ["import", t("Import a deck")],
  ] as const;
  return (
    <Page title={t("Rate cards")} about={card === own ? t("The card of this account") : card}>
      <nav class="tabs" aria-label={t("Parts of the page")}>
        {tabs.map(([name, text]) => (
          <a key={name} href={`?account=${seg(account.id)}&card=${seg(card)}&tab=${name}`} aria-current={tab === name ? "page" : undefined}>
            {text}
          </a>
        ))}
      </nav>
      <Load state={cards}>
        {({ items }) =>
          tab === "import" ? (
            <Import card={card} cards={items.map((each) => each.id)} />
          ) : items.length === 0 ? (
            <Empty>{t("There is no rate card yet: import a deck.")}</Empty>
          ) : (
            <Prices card={card} cards={items.map((each) => each.id)} />
          )
        }
      </Load>
    </Page>
  );
}

function Prices({ card, cards }: { card: string; cards: string[] }): JSX.Element {
  const { time_zone: zone } = useAccount();
  const { query } = usePlace();
  const info = useLoad(() => json<CardInfo>("GET", `/api/v1/rate-cards/${seg(card)}`), [card]);
  return (
    <>
      <div class="grid">
        <Card title={t("Versions")}>
          <Select label={t("Rate card")} value={card} options={cards.map((each) => [each, each] as const)} onChange={(event) => change({ card: event.currentTarget.value, version: "" })} />
          <Load state={info}>
            {({ versions }) => {
              const now = Date.now();
              const inForce = versions.filter((each) => Date.parse(each.effective_from) <= now).at(-1)?.effective_from;
              return (
                <ol class="timeline">
                  {[...versions].reverse().map((each) => (
                    <li key={each.effective_from} class={each.effective_from === inForce ? "now" : ""}>
                      <button type="button" class="link" aria-pressed={query.version === each.effective_from} onClick={() => change({ version: each.effective_from })}>
                        {time(each.effective_from, zone)}
                      </button>{" "}
                      {each.effective_from === inForce && <Badge tone="good">{t("In force")}</Badge>}
                      {Date.parse(each.effective_from) > now && <Badge tone="plain">{t("To come")}</Badge>}
                      <p class="small">
                        {counted(each.rate_count, "{n} rate in {currency}, written {time}", "{n} rates in {currency}, written {time}", { currency: each.currency, time: time(each.written_at, zone) })}
                      </p>
                    </li>
                  ))}
                </ol>
              );
            }}
          </Load>
        </Card>
        <ByNumber card={card} at={query.version} />
      </div>
      <PriceTable card={card} at={query.version} />
    </>
  );
}

function ByNumber({ card, at }: { card: string; at: string | undefined }): JSX.Element {
  const { query } = usePlace();
  const { to, minutes = "10", kind = "dial_out" } = query;
  const request = { rate_card: card, kind, to, talk_seconds: Math.round(Number(minutes) * 60) || 0, ...(at && Date.parse(at) > Date.now() ? { at } : {}) };
  const quote = useLoad(async () => (to ? await json<Quote>("POST", "/api/v1/quotes", { body: request }) : null), [request]);
  const submit = (event: Event): void => {
    const given = fields(event);
    change({ to: given.to, minutes: given.minutes, kind: given.kind });
    quote.reload();
  };
  return (
    <Card title={t("Price of a number")}>
      <form onSubmit={submit}>
        <div class="two">
          <Input label={t("Number")} name="to" inputMode="tel" placeholder="+44…" required defaultValue={query.to} />
          <Input label={t("Minutes")} name="minutes" type="number" min={0} step="0.5" defaultValue={minutes} required />
          <Select label={t("Kind")} name="kind" value={kind} options={[["dial_out", words("dial_out")], ["dial_in", words("dial_in")]]} />
        </div>
        <Buttons submit={t("Calculate")} isBusy={quote.isLoading} />
      </form>
      <Load state={quote} lines={1}>
        {(found) =>
          found && (
            <div role="status">
              {found.amount !== undefined && (
                <p class="figures">
                  <strong>
                    <Money value={found.amount} {...(found.currency ? { currency: found.currency } : {})} />
                  </strong>
                </p>
              )}
              <p class="sentence">{found.sentence}</p>
            </div>
          )
        }
      </Load>
    </Card>
  );
}

function PriceTable({ card, at }: { card: string; at: string | undefined }): JSX.Element {
  const { query } = usePlace();
  const state = useLoad(() => json<PriceList>("GET", `/api/v1/rate-cards/${seg(card)}/price-list`, { query: { at } }), [card, at]);
  const search = (query.find ?? "").toLowerCase();
  return (
    <Card title={t("Price list")}>
      <form class="filters" onSubmit={(event) => change({ find: fields(event).find ?? "" })}>
        <Input label={t("Country or code")} name="find" type="search" defaultValue={query.find} />
        <button type="submit">{t("Search")}</button>
      </form>
      <Load state={state} lines={8}>
        {(found) => {
          const rows = found.countries.filter((each) => {
            const hasPrice = Object.values(each.prices).some((price) => price !== null);
            return hasPrice && (!search || each.name.toLowerCase().includes(search) || regionName(each.region).toLowerCase().includes(search) || each.calling_code.includes(search) || each.region.toLowerCase() === search);
          });
          const classes = ["fixed_line", "mobile", "premium_rate", "shared_cost", "toll_free"];
          return (
            <>
              <Table
                caption={t("Price list")}
                rows={rows}
                most={25}
                id={(row) => row.region}
                empty={t("No country matches.")}
                columns={[
                  { name: t("Country"), cell: (row) => regionName(row.region) },
                  { name: t("Code"), cell: (row) => row.calling_code },
                  ...classes.map((name) => ({ name: `${words(name)}`, right: true, cell: (row: PriceList["countries"][number]) => <PriceText price={row.prices[name]} /> })),
                ]}
              />
              <p class="small">{t("In {currency} per minute; the connection fee is in brackets.", { currency: found.currency })}</p>
            </>
          );
        }}
      </Load>
    </Card>
  );
}

function PriceText({ price }: { price: Price | null | undefined }): JSX.Element {
  if (!price) return <span class="none">–</span>;
  return (
    <>
      <Money value={price.price_per_minute} />
      {sign(price.connection_fee) > 0 && (
        <span class="none">
          {" "}
          (<Money value={price.connection_fee} />)
        </span>
      )}
    </>
  );
}

// Import

const MEANINGS = ["prefix", "destination", "price", "country_code", "connection_fee", "first_increment", "increment", "origin"] as const;
type Meaning = (typeof MEANINGS)[number];
const NEXT: Record<string, string> = { prefix: "destination", destination: "price", price: "first_increment" };
const GUESS: Record<Meaning, RegExp> = {
  prefix: /^(prefix(es)?|codes?|dial ?codes?|area ?codes?|breakout)$/i,
  destination: /destination|country|name|network|description/i,
  price: /rate|price|tarif/i,
  country_code: /^country ?code$/i,
  connection_fee: /connect|setup|fee/i,
  first_increment: /first|initial|min(imum)? ?dur/i,
  increment: /incr|next|subsequent|interval/i,
  origin: /origin/i,
};
type Deck = { file: File; delimiter: string; header: string[]; rows: string[][]; hasComma: boolean };
type Imported = { rate_count: number; deck: { rows: number; rates: number; left_out: number; duplicates: number; unknown_names: string[] }; findings: Finding[]; effect: Effect | null; effective_from: string; rerating?: { legs: number } };

function Import({ card, cards }: { card: string; cards: string[] }): JSX.Element {
  const { id, currency, time_zone: zone } = useAccount();
  const [deck, setDeck] = useState<Deck | undefined>();
  const [meaning, setMeaning] = useState<Record<number, Meaning>>({});
  const [chosen, choose] = useState<Meaning>("prefix");
  const [target, setTarget] = useState({ card, from: "", currency, decimals: "4", past: false });
  const [tried, setTried] = useState<Imported | undefined>();
  const [isPublished, setPublished] = useState(false);
  const action = useAction();
  const denied = useDenied(["finance"], true);
  const forget = (): void => {
    setTried(undefined);
    setPublished(false);
    action.clear();
  };
  const read = (file: File | undefined): void => {
    if (!file) return;
    void action.run(async () => {
      const head = await file.slice(0, 64 * 1024).text();
      const found = readDeck(file, head);
      setDeck(found);
      const guessed: Record<number, Meaning> = {};
      for (const each of MEANINGS) {
        const index = found.header.findIndex((name, at) => !(at in guessed) && GUESS[each].test(name.trim()));
        if (index >= 0) guessed[index] = each;
      }
      setMeaning(guessed);
      forget();
    });
  };
  const click = (index: number): void => {
    forget();
    setMeaning((before) => {
      const after = { ...before };
      if (after[index] === chosen) {
        delete after[index];
        return after;
      }
      for (const [at, each] of Object.entries(after)) if (each === chosen && chosen !== "destination") delete after[Number(at)];
      after[index] = chosen;
      return after;
    });
    const next = NEXT[chosen];
    if (next) choose(next as Meaning);
  };
  const effective = target.from ? `${target.from}:00Z` : "";
  const post = async (isDry: boolean): Promise<Imported> => {
    if (!deck) throw new Error("no deck");
    const columns: Record<string, string | string[]> = {};
    for (const [at, each] of Object.entries(meaning)) {
      const name = deck.header[Number(at)] ?? "";
      if (each === "destination") columns.destination = [...((columns.destination as string[] | undefined) ?? []), name];
      else columns[each] = name;
    }
    const mapping = { currency: target.currency, rounding: { mode: "half_up", decimals: Number(target.decimals) }, delimiter: deck.delimiter, decimal_comma: deck.hasComma, columns };
    const form = new FormData();
    form.set("mapping", new Blob([JSON.stringify(mapping)], { type: "application/json" }), "mapping.json");
    form.set("deck", deck.file);
    const response = await send("POST", `/api/v1/rate-cards/${seg(target.card)}/import`, { query: { effective_from: effective, dry_run: isDry || undefined, account: isDry ? id : undefined, backdate: target.past || undefined }, body: form });
    return (await response.json()) as Imported;
  };
  const dryRun = (event: Event): void => {
    event.preventDefault();
    void action.run(async () => {
      setTried(await post(true));
    });
  };
  const publish = (): void =>
    void action.run(async () => {
      setTried({ ...(await post(false)), effect: tried?.effect ?? null });
      setPublished(true);
      notify(t("Published: {card}, from {time}.", { card: target.card, time: time(effective, zone) }));
    });
  const isComplete = Object.values(meaning).includes("prefix") && Object.values(meaning).includes("price");
  return (
    <>
      <Card title={t("1. The carrier's deck")}>
        <div class="two">
          <Input label={t("File (CSV)")} name="deck" type="file" accept=".csv,text/csv,text/plain" onChange={(event) => read(event.currentTarget.files?.[0])} hint={t("Nothing is stored before you publish.")} />
        </div>
        {!deck && action.error && <Problem error={action.error} />}
      </Card>
      {deck && (
        <Card title={t("2. The meaning of the columns")}>
          <p class="about">{t("Choose a meaning, then click on its column. The first 20 rows are shown.")}</p>
          <div class="chips" role="group" aria-label={t("Meanings")}>
            {MEANINGS.map((each) => {
              const at = Object.entries(meaning).filter(([, found]) => found === each);
              return (
                <button key={each} type="button" aria-pressed={chosen === each} onClick={() => choose(each)}>
                  {words(each)}
                  {(each === "prefix" || each === "price") && " *"}
                  {at.length > 0 && <b>{at.map(([index]) => deck.header[Number(index)]).join(" + ")}</b>}
                </button>
              );
            })}
          </div>
          <div class="table raw" role="group" aria-label={t("First rows of the deck")} tabIndex={0}>
            <table class="preview">
              <thead>
                <tr class="columns-pick">
                  {deck.header.map((name, index) => (
                    <th key={index} scope="col">
                      <button type="button" class={`small ${meaning[index] ? "is-set" : ""}`} onClick={() => click(index)}>
                        <bdi>{name || t("(no name)")}</bdi>
                        {meaning[index] && <Badge tone="good">{words(meaning[index])}</Badge>}
                      </button>
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {deck.rows.map((row, index) => (
                  <tr key={index}>
                    {deck.header.map((_, at) => (
                      <td key={at} class={meaning[at] ? "is-set" : ""}>
                        <bdi>{row[at]}</bdi>
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </Card>
      )}
      {deck && (
        <Card title={t("3. Check, compare, publish")}>
          <form onSubmit={dryRun}>
            <div class="filters">
              <Input label={t("Rate card")} name="card" value={target.card} required pattern="[a-z0-9][a-z0-9._\-]*" onInput={(event) => { forget(); setTarget({ ...target, card: event.currentTarget.value }); }} hint={cards.includes(target.card) ? t("A new version of it") : t("A new card")} />
              <div class="field">
                <label for="effective">{t("In force from (UTC)")}</label>
                <input id="effective" type="datetime-local" required value={target.from} onInput={(event) => { forget(); setTarget({ ...target, from: event.currentTarget.value.slice(0, 16) }); }} />
              </div>
              <Input label={t("Currency")} name="currency" value={target.currency} required pattern="[A-Z]{3}" onInput={(event) => { forget(); setTarget({ ...target, currency: event.currentTarget.value }); }} />
              <Input label={t("Decimals of a charge")} name="decimals" type="number" min={0} max={6} value={target.decimals} onInput={(event) => { forget(); setTarget({ ...target, decimals: event.currentTarget.value }); }} />
            </div>
            <label class="check">
              <input type="checkbox" checked={target.past} onChange={(event) => { forget(); setTarget({ ...target, past: event.currentTarget.checked }); }} /> {t("Allow a time in the past")}
            </label>
            {action.error && <Problem error={action.error} />}
            <div class="buttons">
              {denied ? (
                <Denied label={t("Check without storing")} why={denied} />
              ) : (
                <button type="submit" class={tried ? "" : "primary"} disabled={action.isBusy || !isComplete}>
                  {t("Check without storing")}
                </button>
              )}
              {tried && !isPublished && <Command roles={["finance"]} isForAll kind="primary" label={t("Publish")} disabled={action.isBusy} onClick={publish} />}
            </div>
          </form>
          {tried && <Report tried={tried} isPublished={isPublished} />}
        </Card>
      )}
    </>
  );
}

function Report({ tried, isPublished }: { tried: Imported; isPublished: boolean }): JSX.Element {
  return (
    <div role="status">
      <p class="banner good">{isPublished ? t("Published.") : t("The deck can be read. Nothing is stored yet.")}</p>
      <dl class="stats">
        <Stat label={t("Rows")}>{integer(tried.deck.rows)}</Stat>
        <Stat label={t("Rates")}>{integer(tried.deck.rates)}</Stat>
        <Stat label={t("Left out")}>{integer(tried.deck.left_out)}</Stat>
        <Stat label={t("Duplicates")}>{integer(tried.deck.duplicates)}</Stat>
      </dl>
      <h3>{t("Lint")}</h3>
      {tried.findings.length === 0 ? (
        <Empty>{t("No findings.")}</Empty>
      ) : (
        <ul class="rows">
          {tried.findings.map((each) => (
            <li key={each.code}>
              <div>
                <Badge tone={each.severity === "warning" ? "warn" : "plain"}>{integer(each.count)}</Badge> <strong>{words(each.code)}</strong>
                <p class="small">
                  {each.detail}: {each.examples.join("; ")}
                </p>
              </div>
            </li>
          ))}
        </ul>
      )}
      <InMoney effect={tried.effect} />
    </div>
  );
}

/** The legs of the account's last month, by its present prices and by those of the deck. */
function InMoney({ effect }: { effect: Effect | null }): JSX.Element {
  const { time_zone: zone } = useAccount();
  if (!effect) return <Empty>{t("The account has no present prices in this currency to compare with.")}</Empty>;
  const { currency } = effect;
  return (
    <>
      <h3>{t("The legs of {month} by these prices", { month: monthName(effect.month) })}</h3>
      <p class="small">
        {t("Compared with {card}, version of {time}.", { card: effect.from.card, time: time(effect.from.version, zone) })}
        {!effect.complete && <> {t("The month has more legs than are compared.")}</>}
        {effect.no_rate_after > 0 && <> {counted(effect.no_rate_after, "Without a price in the deck: {n} leg.", "Without a price in the deck: {n} legs.")}</>}
      </p>
      <dl class="stats">
        <Stat label={t("Present prices")} note={counted(effect.legs, "{n} leg", "{n} legs")}>
          <Money value={effect.before} currency={currency} />
        </Stat>
        <Stat label={t("These prices")}>
          <Money value={effect.after} currency={currency} />
        </Stat>
        <Stat label={t("Difference")}>
          <Money value={effect.difference} currency={currency} signed />
        </Stat>
      </dl>
      {effect.destinations.length > 0 && (
        <Table
          caption={t("By destination")}
          rows={effect.destinations}
          id={(row) => row.destination}
          columns={[
            { name: t("Destination"), cell: (row) => <Text>{row.destination}</Text> },
            { name: t("Legs"), right: true, cell: (row) => integer(row.legs) },
            { name: t("Present prices"), right: true, cell: (row) => <Money value={row.before} /> },
            { name: t("These prices"), right: true, cell: (row) => <Money value={row.after} /> },
            { name: t("Difference"), right: true, cell: (row) => <Money value={row.difference} signed /> },
          ]}
        />
      )}
    </>
  );
}

/** The first rows of a deck: the separator that occurs most in its first line, quotes undone. */
export function readDeck(file: File, head: string): Deck {
  const text = head.replace(/^\ufeff/, "");
  const line = text.split(/\r?\n/, 1)[0] ?? "";
  const delimiter = [",", ";", "\t", "|"].reduce((best, each) => (line.split(each).length > line.split(best).length ? each : best));
  const rows = cells(text, delimiter).slice(0, 21);
  const [header = [], ...rest] = rows;
  const hasComma = delimiter !== "," && rest.some((row) => row.some((cell) => /^\d+,\d+$/.test(cell)));
  return { file, delimiter, header, rows: rest, hasComma };
}

function cells(text: string, delimiter: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = "";
  let isQuoted = false;
  for (let at = 0; at < text.length && rows.length < 22; at += 1) {
    const sign = text[at] ?? "";
    if (isQuoted) {
      if (sign === '"' && text[at + 1] === '"') {
        cell += '"';
        at += 1;
      } else if (sign === '"') isQuoted = false;
      else cell += sign;
    } else if (sign === '"' && cell === "") isQuoted = true;
    else if (sign === delimiter) {
      row.push(cell);
      cell = "";
    } else if (sign === "\n" || sign === "\r") {
      if (sign === "\r" && text[at + 1] === "\n") at += 1;
      row.push(cell);
      if (row.some((each) => each !== "")) rows.push(row);
      row = [];
      cell = "";
    } else cell += sign;
  }
  if (cell || row.length) rows.push([...row, cell]);
  return rows;
}
