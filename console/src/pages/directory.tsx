import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { ApiError, download, json, seg, send } from "../api/client";
import { integer, time, words } from "../format";
import { sentence, t } from "../i18n";
import { change, go, href, usePlace } from "../router";
import type { Role } from "../session";
import { Badge, Buttons, Card, Command, Denied, Dialog, Empty, fields, Input, Load, notify, type Option, Page, Pager, Problem, Select, Table, Text, useAccount, useAction, useDenied, useLoad } from "../ui";
import { inWords, POLICIES } from "./policy";

type Organizer = { id: string; usage_location: string | null; license: string; policy: string | null; toll_free_dial_in: boolean; cost_center: string | null; etag: string };
type Conference = { conference: string; organizer: string; etag: string };
type ServiceNumber = { number: string; kind: string; etag: string };
type Bridge = { id: string; dialect: string; auth: { scheme: string; username?: string }; public_url?: string; accounts: string[]; default_account?: string; country?: string; on_outage: string; disabled: boolean; wait_seconds: number; etag: string };
type Kind = "organizers" | "conferences" | "service-numbers" | "bridges";

const PAGE = 50;
const PUT: Role[] = ["operator"];

export default function Directory(): JSX.Element {
  const { id } = useAccount();
  const { query } = usePlace();
  const kinds: [Kind, string][] = [
    ["organizers", t("Organizers")],
    ["conferences", t("Conferences")],
    ["service-numbers", t("Numbers")],
    ["bridges", t("Bridges")],
  ];
  const kind = kinds.find(([name]) => name === query.kind)?.[0] ?? "organizers";
  return (
    <Page title={t("Directory")} about={t("Organizers, their conferences, the numbers of the service, and the bridges.")}>
      <nav class="tabs" aria-label={t("Parts of the page")}>
        {kinds.map(([name, text]) => (
          <a key={name} href={href("directory", { account: id, kind: name })} aria-current={kind === name ? "page" : undefined}>
            {text}
          </a>
        ))}
      </nav>
      {kind === "organizers" && <Organizers />}
      {kind === "conferences" && <Conferences />}
      {kind === "service-numbers" && <Numbers />}
      {kind === "bridges" && <Bridges />}
    </Page>
  );
}

type Items<T> = { items: T[]; next?: string };

/** The list of a kind, with search, paging, the CSV out and in, and a dialog for one of them. */
function List<T>(props: {
  path: string;
  title: string;
  name: string;
  csv: Kind | undefined;
  roles: Role[];
  isForAll?: boolean; // changes need access to all accounts
  table: (items: T[], edit: (item: T) => void) => ComponentChildren;
  dialog: (item: T | undefined, done: (text: string) => void, close: () => void) => ComponentChildren;
}): JSX.Element {
  const { id } = useAccount();
  const { query } = usePlace();
  const state = useLoad(() => json<Items<T>>("GET", props.path, { query: { prefix: query.prefix, limit: PAGE, cursor: query.cursor } }), [props.path, query.prefix, query.cursor]);
  const [chosen, choose] = useState<{ item?: T } | undefined>();
  const [isLoading, setLoading] = useState(false);
  const action = useAction();
  const done = (text: string): void => {
    choose(undefined);
    setLoading(false);
    notify(text);
    state.reload();
  };
  const close = (): void => {
    choose(undefined);
    state.reload(); // somebody else may have changed the item
  };
  return (
    <Card
      title={props.title}
      actions={
        <>
          {props.csv && (
            <>
              <button type="button" disabled={action.isBusy} onClick={() => void action.run(() => download(props.path, { prefix: query.prefix }))}>
                {t("Save as CSV")}
              </button>
              <Command roles={props.roles} isForAll={!!props.isForAll} label={t("Load a CSV…")} onClick={() => setLoading(true)} />
            </>
          )}
          <Command roles={props.roles} isForAll={!!props.isForAll} kind="primary" label={t("Add…")} onClick={() => choose({})} />
        </>
      }
    >
      {action.error && <Problem error={action.error} />}
      <form class="filters" key={query.prefix ?? ""} onSubmit={(event) => go(href("directory", { account: id, kind: query.kind, prefix: fields(event).prefix }))}>
        <Input label={t("Begins with")} name="prefix" type="search" defaultValue={query.prefix} />
        <button type="submit">{t("Search")}</button>
      </form>
      <Load state={state} lines={6}>
        {(found) => (
          <>
            {props.table(found.items, (item) => choose({ item }))}
            <Pager next={found.next} isFirst={!query.cursor} onNext={(cursor) => change({ cursor })} onFirst={() => change({ cursor: "" })} />
          </>
        )}
      </Load>
      {chosen && props.dialog(chosen.item, done, close)}
      {isLoading && <LoadCsv path={props.path} onDone={done} onClose={() => setLoading(false)} />}
    </Card>
  );
}

function Organizers(): JSX.Element {
  const { id } = useAccount();
  const path = `/api/v1/accounts/${seg(id)}/organizers`;
  return (
    <List<Organizer>
      path={path}
      title={t("Organizers")}
      name={t("Organizer")}
      csv="organizers"
      roles={PUT}
      table={(items, edit) => (
        <Table
          caption={t("Organizers")}
          rows={items}
          id={(row) => row.id}
          empty={t("No organizer is registered.")}
          columns={[
            { name: t("Organizer"), cell: (row) => <button type="button" class="link" onClick={() => edit(row)}><Text>{row.id}</Text></button> },
            { name: t("License"), cell: (row) => words(row.license) },
            { name: t("Policy"), cell: (row) => (row.policy ? inWords(row.policy) : t("the account's")) },
            { name: t("Country"), cell: (row) => row.usage_location ?? t("the account's") },
            { name: t("Cost center"), cell: (row) => <Text>{row.cost_center}</Text> },
            { name: "", cell: (row) => <a href={href("legs", { account: id, organizer: row.id })}>{t("Legs")}</a> },
          ]}
        />
      )}
      dialog={(item, done, close) => <OrganizerDialog path={path} item={item} onDone={done} onClose={close} />}
    />
  );
}

type DialogProps<T> = { path: string; item: T | undefined; onDone: (text: string) => void; onClose: () => void };

/** PUT what is new, PATCH what is there, DELETE on request. */
function useSave(path: string, onDone: (text: string) => void) {
  const action = useAction();
  return {
    ...action,
    save: (key: string, body: object, etag: string | undefined, method: "PUT" | "PATCH") =>
      void action.run(async () => {
        await json(method, `${path}/${seg(key)}`, { body, ...(etag ? { headers: { "If-Match": etag } } : {}) });
        onDone(t("Saved."));
      }),
    remove: (key: string, etag: string | undefined) =>
      void action.run(async () => {
        await send("DELETE", `${path}/${seg(key)}`, etag ? { headers: { "If-Match": etag } } : {});
        onDone(t("Deleted. History stays readable."));
      }),
  };
}

function FormButtons(props: { isNew: boolean; isBusy: boolean; isForAll?: boolean; onDelete: () => void; onClose: () => void }): JSX.Element {
  const isForAll = !!props.isForAll;
  return (
    <Buttons submit={t("Save")} roles={PUT} isForAll={isForAll} isBusy={props.isBusy} onCancel={props.onClose}>
      {!props.isNew && <Command roles={PUT} isForAll={isForAll} kind="danger" label={t("Delete")} disabled={props.isBusy} onClick={props.onDelete} />}
    </Buttons>
  );
}

function OrganizerDialog({ path, item, onDone, onClose }: DialogProps<Organizer>): JSX.Element {
  const action = useSave(path, onDone);
  const policies: Option[] = [["", t("The account's")], ...POLICIES.map((each) => [each, inWords(each)] as const)];
  const submit = (event: Event): void => {
    const given = fields(event);
    const body = { license: given.license, policy: given.policy ?? null, usage_location: given.usage_location?.toUpperCase() ?? null, cost_center: given.cost_center ?? null, toll_free_dial_in: given.toll_free === "on" };
    action.save(item?.id ?? given.id ?? "", body, item?.etag, item ? "PATCH" : "PUT");
  };
  return (
    <Dialog title={item ? t("Organizer") : t("Add an organizer")} onClose={onClose}>
      <form onSubmit={submit}>
        {item ? <p><Text>{item.id}</Text></p> : <Input label={t("Organizer")} name="id" required maxLength={200} />}
        <div class="two">
          <Select label={t("License")} name="license" value={item?.license ?? "pay_per_minute"} options={["pay_per_minute", "subscription", "none"].map((each) => [each, words(each)] as const)} />
          <Input label={t("Country")} name="usage_location" maxLength={2} defaultValue={item?.usage_location ?? undefined} hint={t("Two letters; empty: the account's")} />
        </div>
        <Select label={t("Policy")} name="policy" value={item?.policy ?? ""} options={policies} />
        <Input label={t("Cost center")} name="cost_center" maxLength={200} defaultValue={item?.cost_center ?? undefined} />
        <label class="check">
          <input type="checkbox" name="toll_free" defaultChecked={item?.toll_free_dial_in ?? true} /> {t("Toll-free numbers may be dialled in")}
        </label>
        {action.error && <Problem error={action.error} />}
        <FormButtons isNew={!item} isBusy={action.isBusy} onDelete={() => action.remove(item?.id ?? "", item?.etag)} onClose={onClose} />
      </form>
    </Dialog>
  );
}

function Conferences(): JSX.Element {
  const { id } = useAccount();
  const path = `/api/v1/accounts/${seg(id)}/conferences`;
  return (
    <List<Conference>
      path={path}
      title={t("Conferences")}
      name={t("Conference")}
      csv="conferences"
      roles={PUT}
      table={(items, edit) => (
        <Table
          caption={t("Conferences")}
          rows={items}
          id={(row) => row.conference}
          empty={t("No conference is registered.")}
          columns={[
            { name: t("Conference"), cell: (row) => <button type="button" class="link" onClick={() => edit(row)}><Text>{row.conference}</Text></button> },
            { name: t("Organizer"), cell: (row) => <Text>{row.organizer}</Text> },
            { name: "", cell: (row) => <a href={href("legs", { account: id, conference: row.conference })}>{t("Legs")}</a> },
          ]}
        />
      )}
      dialog={(item, onDone, onClose) => <ConferenceDialog path={path} item={item} onDone={onDone} onClose={onClose} />}
    />
  );
}

function ConferenceDialog({ path, item, onDone, onClose }: DialogProps<Conference>): JSX.Element {
  const action = useSave(path, onDone);
  const submit = (event: Event): void => {
    const given = fields(event);
    action.save(item?.conference ?? given.conference ?? "", { organizer: given.organizer }, item?.etag, "PUT");
  };
  return (
    <Dialog title={item ? t("Conference") : t("Add a conference")} onClose={onClose}>
      <form onSubmit={submit}>
        {item ? <p><Text>{item.conference}</Text></p> : <Input label={t("Conference")} name="conference" required maxLength={200} />}
        <Input label={t("Organizer")} name="organizer" required maxLength={200} defaultValue={item?.organizer} hint={item ? t("The change takes effect now.") : undefined} />
        {action.error && <Problem error={action.error} />}
        <FormButtons isNew={!item} isBusy={action.isBusy} onDelete={() => action.remove(item?.conference ?? "", item?.etag)} onClose={onClose} />
      </form>
    </Dialog>
  );
}

function Numbers(): JSX.Element {
  const { id } = useAccount();
  const path = `/api/v1/accounts/${seg(id)}/service-numbers`;
  return (
    <List<ServiceNumber>
      path={path}
      title={t("Service numbers")}
      name={t("Number")}
      csv="service-numbers"
      roles={PUT}
      isForAll
      table={(items, edit) => (
        <Table
          caption={t("Numbers")}
          rows={items}
          id={(row) => row.number}
          empty={t("No number is registered.")}
          columns={[
            { name: t("Number"), cell: (row) => <button type="button" class="link" onClick={() => edit(row)}><Text>{row.number}</Text></button> },
            { name: t("Kind"), cell: (row) => words(row.kind) },
            { name: "", cell: (row) => <a href={href("legs", { account: id, number: row.number })}>{t("Legs")}</a> },
          ]}
        />
      )}
      dialog={(item, onDone, onClose) => <NumberDialog path={path} item={item} onDone={onDone} onClose={onClose} />}
    />
  );
}

function NumberDialog({ path, item, onDone, onClose }: DialogProps<ServiceNumber>): JSX.Element {
  const action = useSave(path, onDone);
  const submit = (event: Event): void => {
    const given = fields(event);
    action.save(item?.number ?? given.number ?? "", { kind: given.kind }, item?.etag, "PUT");
  };
  return (
    <Dialog title={item ? t("Number") : t("Add a number")} onClose={onClose}>
      <form onSubmit={submit}>
        {item ? <p>{item.number}</p> : <Input label={t("Number")} name="number" inputMode="tel" required placeholder="+33…" />}
        <Select label={t("Kind")} name="kind" value={item?.kind ?? "toll"} options={["toll", "toll_free"].map((each) => [each, words(each)] as const)} />
        {action.error && <Problem error={action.error} />}
        <FormButtons isNew={!item} isBusy={action.isBusy} isForAll onDelete={() => action.remove(item?.number ?? "", item?.etag)} onClose={onClose} />
      </form>
    </Dialog>
  );
}

type LoadReport = { created: number; changed: number; unchanged: number; items: { line: number; action: string; id?: string; conference?: string; number?: string }[] };
const LINES_SHOWN = 20;

/** A file with many: all of it or nothing, checked before it is stored. */
function LoadCsv({ path, onDone, onClose }: { path: string; onDone: (text: string) => void; onClose: () => void }): JSX.Element {
  const action = useAction();
  const [file, setFile] = useState<File | undefined>();
  const [tried, setTried] = useState<LoadReport | undefined>();
  const put = (isDry: boolean): Promise<LoadReport> =>
    send("PUT", path, { query: { dry_run: isDry || undefined }, body: file ?? "", headers: { "content-type": "text/csv" } }).then((response) => response.json() as Promise<LoadReport>);
  const submit = (event: Event): void => {
    event.preventDefault();
    void action.run(async () => {
      if (!tried) {
        setTried(await put(true));
        return;
      }
      await put(false);
      onDone(t("Loaded."));
    });
  };
  return (
    <Dialog title={t("Load a CSV")} onClose={onClose}>
      <form onSubmit={submit}>
        <Input label={t("File (CSV)")} type="file" accept=".csv,text/csv" required hint={t("The columns are those of the saved CSV file.")} onChange={(event) => { setFile(event.currentTarget.files?.[0]); setTried(undefined); action.clear(); }} />
        {action.error && <Problem error={action.error} />}
        {tried && (
          <div class="banner info" role="status">
            <strong>{t("Changes:")}</strong>
            <ul>
              {(["created", "changed", "unchanged"] as const).map((name) => (
                <li key={name}>
                  {words(name)}: {integer(tried[name])}
                </li>
              ))}
            </ul>
            <ul class="small">
              {tried.items.slice(0, LINES_SHOWN).map((each) => (
                <li key={each.line}>
                  {t("Line {n}", { n: integer(each.line) })}: <bdi>{String(each.id ?? each.conference ?? each.number)}</bdi> {words(each.action).toLowerCase()}
                </li>
              ))}
            </ul>
          </div>
        )}
        <Buttons submit={tried ? t("Load") : t("Check without storing")} isBusy={action.isBusy} onCancel={onClose} disabled={!file} />
      </form>
    </Dialog>
  );
}

// Bridges

const DIALECTS = ["perminute", "freeswitch", "asterisk", "twilio", "livekit", "acs", "bigbluebutton", "jitsi", "zoom"];
const SCHEMES = ["standard-webhooks", "basic", "bearer", "twilio", "livekit", "bigbluebutton", "zoom"];

function Bridges(): JSX.Element {
  const { id } = useAccount();
  const { query } = usePlace();
  const denied = useDenied(["operator"], true);
  if (denied) {
    return (
      <Card title={t("Bridges")}>
        <Denied label={t("Bridges")} why={denied} />
      </Card>
    );
  }
  return (
    <>
      <List<Bridge>
        path="/api/v1/bridges"
        title={t("Bridges")}
        name={t("Bridge")}
        csv={undefined}
        roles={[]}
        isForAll
        table={(items) => (
          <Table
            caption={t("Bridges")}
            rows={items}
            id={(row) => row.id}
            empty={t("No bridge is registered.")}
            columns={[
              { name: t("Bridge"), cell: (row) => <a href={href("directory", { account: id, kind: "bridges", bridge: row.id })}>{row.id}</a> },
              { name: t("Dialect"), cell: (row) => row.dialect },
              { name: t("Signature"), cell: (row) => row.auth.scheme },
              { name: t("Accounts"), cell: (row) => (row.accounts.includes("*") ? t("All") : row.accounts.join(", ")) },
              { name: t("State"), cell: (row) => <Badge tone={row.disabled ? "bad" : "good"}>{row.disabled ? t("Disabled") : t("Enabled")}</Badge> },
            ]}
          />
        )}
        dialog={(item, onDone, onClose) => <BridgeDialog item={item} onDone={onDone} onClose={onClose} />}
      />
      {query.bridge && <BridgeCard name={query.bridge} />}
    </>
  );
}

type BridgeDialogProps = { item: Bridge | undefined; onDone: (text: string) => void; onClose: () => void };

function BridgeDialog({ item, onDone, onClose }: BridgeDialogProps): JSX.Element {
  const { id } = useAccount();
  const action = useAction();
  const [secrets, setSecrets] = useState<string[] | undefined>();
  const amend = (given: Record<string, string>, bridge: Bridge): void => {
    const names = ["default_account", "country", "public_url"] as const;
    const body = {
      accounts: given.accounts?.split(/[\s,]+/) ?? bridge.accounts,
      wait_seconds: Number(given.wait_seconds ?? bridge.wait_seconds),
      ...Object.fromEntries(names.map((name) => [name, given[name] ?? null])),
    };
    void action.run(async () => {
      await json("PATCH", `/api/v1/bridges/${seg(bridge.id)}`, { body, headers: { "If-Match": bridge.etag } });
      onDone(t("Saved."));
    });
  };
  const submit = (event: Event): void => {
    const given = fields(event);
    if (item) {
      amend(given, item);
      return;
    }
    const body = {
      dialect: given.dialect,
      auth: { scheme: given.scheme, ...(given.username ? { username: given.username } : {}), ...(given.secret ? { secrets: [given.secret] } : {}) },
      accounts: given.accounts?.split(/[\s,]+/) ?? [id],
      ...Object.fromEntries(["default_account", "country", "public_url"].flatMap((name) => (given[name] ? [[name, given[name]]] : []))),
    };
    void action.run(async () => {
      const made = await json<{ auth: { secrets?: string[] }; secret?: string }>("PUT", `/api/v1/bridges/${seg(given.id ?? "")}`, { body });
      const shown = made.auth.secrets ?? (made.secret ? [made.secret] : []);
      if (shown.length) setSecrets(shown);
      else onDone(t("Saved."));
    });
  };
  if (secrets) {
    return (
      <Dialog title={t("The bridge's secret")} onClose={() => onDone(t("Saved."))}>
        <p class="banner warn">{t("The secret is shown once. Store it in the bridge's configuration.")}</p>
        <pre tabIndex={0}>{secrets.join("\n")}</pre>
      </Dialog>
    );
  }
  return (
    <Dialog title={item ? t("Change {bridge}", { bridge: item.id }) : t("Add a bridge")} onClose={onClose}>
      <form onSubmit={submit}>
        <div class="two">
          {!item && (
            <>
              <Input label={t("Name")} name="id" required pattern="[a-z0-9][a-z0-9._\-]*" />
              <Select label={t("Dialect")} name="dialect" options={DIALECTS.map((each) => [each, each] as const)} />
              <Select label={t("Signature")} name="scheme" options={SCHEMES.map((each) => [each, each] as const)} />
              <Input label={t("User name or API key")} name="username" hint={t("For the schemes basic and LiveKit")} />
              <Input label={t("Secret")} name="secret" type="password" hint={t("Empty: a secret is created and shown once, except for schemes of vendors")} />
            </>
          )}
          <Input label={t("Accounts")} name="accounts" required defaultValue={item?.accounts.join(", ") ?? id} hint={t("Separated by commas; * for all")} />
          <Input label={t("Default account")} name="default_account" defaultValue={item?.default_account} />
          <Input label={t("Country")} name="country" maxLength={2} pattern="[A-Z]{2}" title={t("Codes of two letters")} defaultValue={item?.country} />
          <Input label={t("URL that the vendor calls")} name="public_url" defaultValue={item?.public_url} hint={t("Empty: the URL of this server")} />
          {item && <Input label={t("Waits for missing events, in seconds")} name="wait_seconds" type="number" min={0} required defaultValue={String(item.wait_seconds)} />}
        </div>
        {action.error && <Problem error={action.error} />}
        <Buttons submit={t("Save")} isBusy={action.isBusy} onCancel={onClose} />
      </form>
    </Dialog>
  );
}

type Health = { bridges: { bridge: string; last_post_at: string | null; last_leg_at: string | null; legs_24h: number; parked_24h: number; ignored_24h: Record<string, number> }[] };

function BridgeCard({ name }: { name: string }): JSX.Element {
  const { time_zone: zone } = useAccount();
  const path = `/api/v1/bridges/${seg(name)}`;
  const state = useLoad(() => json<Bridge>("GET", path), [name]);
  const health = useLoad(() => json<Health>("GET", "/api/v1/status"), [name]);
  const action = useAction();
  const [isEditing, setEditing] = useState(false);
  const toggle = (bridge: Bridge): void =>
    void action.run(async () => {
      try {
        await json("PATCH", path, { body: { disabled: !bridge.disabled }, headers: { "If-Match": bridge.etag } });
        notify(t("Saved."));
      } finally {
        state.reload();
      }
    });
  return (
    <Load state={state}>
      {(bridge) => {
        const seen = health.data?.bridges.find((each) => each.bridge === name);
        return (
          <div class="grid">
            <Card title={t("Health of {bridge}", { bridge: name })} actions={<><Command roles={[]} label={t("Change…")} onClick={() => setEditing(true)} /><Command roles={[]} label={bridge.disabled ? t("Enable") : t("Disable")} disabled={action.isBusy} onClick={() => toggle(bridge)} /></>}>
              {isEditing && <BridgeDialog item={bridge} onDone={(text) => { setEditing(false); notify(text); state.reload(); }} onClose={() => { setEditing(false); state.reload(); }} />}
              {action.error && <Problem error={action.error} />}
              {seen ? (
                <dl class="facts">
                  <dt>{t("Last post")}</dt>
                  <dd>{time(seen.last_post_at, zone)}</dd>
                  <dt>{t("Last leg")}</dt>
                  <dd>{seen.last_leg_at ? time(seen.last_leg_at, zone) : t("no leg yet")}</dd>
                  <dt>{t("Legs, 24 h")}</dt>
                  <dd>{integer(seen.legs_24h)}</dd>
                  <dt>{t("Parked, 24 h")}</dt>
                  <dd>{integer(seen.parked_24h)}</dd>
                  <dt>{t("Ignored, 24 h")}</dt>
                  <dd>
                    {Object.entries(seen.ignored_24h)
                      .map(([reason, count]) => `${reason}: ${integer(count)}`)
                      .join("; ") || "0"}
                  </dd>
                </dl>
              ) : health.error && !(health.error instanceof ApiError && health.error.code === "path_unknown") ? (
                <Problem error={health.error} />
              ) : (
                <Empty>{t("Nothing was posted in the last 24 hours.")}</Empty>
              )}
              <dl class="facts">
                <dt>{t("Waits for missing events")}</dt>
                <dd>{integer(bridge.wait_seconds)} s</dd>
                <dt>{t("If Perminute does not answer")}</dt>
                <dd>{words(bridge.on_outage)}</dd>
              </dl>
            </Card>
            <TryBridge path={path} bridge={bridge} />
            <Recipe bridge={bridge} />
          </div>
        );
      }}
    </Load>
  );
}

/** The content type that a vendor would send with a record: JSON, a form, or CSV. */
function mediaType(record: string): string {
  if (/^[{[]/.test(record)) return "application/json";
  return /^[^\s,]+=/.test(record) ? "application/x-www-form-urlencoded" : "text/csv";
}

function TryBridge({ path, bridge }: { path: string; bridge: Bridge }): JSX.Element {
  const action = useAction();
  const [outcome, setOutcome] = useState<{ outcome: string; steps: { step: string; detail: string }[] } | undefined>();
  const submit = (event: Event): void => {
    const { record } = fields(event);
    void action.run(async () => {
      setOutcome(await json("POST", `${path}/try`, { body: record ?? "", headers: { "content-type": mediaType(record ?? "") } }));
    });
  };
  return (
    <Card title={t("Try a record")}>
      <form onSubmit={submit}>
        <div class="field">
          <label for="record">{t("A record of the dialect {dialect}", { dialect: bridge.dialect })}</label>
          <textarea id="record" name="record" required spellcheck={false} />
        </div>
        {action.error && <Problem error={action.error} />}
        <Buttons submit={t("Try")} roles={["operator"]} isBusy={action.isBusy} />
      </form>
      {outcome && (
        <div role="status">
          <p class="banner info">{words(outcome.outcome)}</p>
          <ol class="checks">
            {outcome.steps.map((each) => (
              <li key={each.step}>
                <span class="mark pass" aria-hidden="true">
                  •
                </span>
                <span>
                  <strong>{words(each.step)}</strong> <span class="small">{sentence(each.detail)}</span>
                </span>
              </li>
            ))}
          </ol>
        </div>
      )}
    </Card>
  );
}

/** How this bridge is connected, with its own values. */
function Recipe({ bridge }: { bridge: Bridge }): JSX.Element {
  const url = bridge.public_url ?? `${location.origin}/api/v1/bridges/${bridge.id}/call-ended`;
  const secret = t("the bridge's secret");
  const user = bridge.auth.username ?? bridge.id;
  const basic = bridge.auth.scheme === "basic" ? url.replace("://", `://${user}:<${secret}>@`) : url;
  const header = bridge.auth.scheme === "bearer" ? `Authorization: Bearer <${secret}>` : "";
  const texts: Record<string, string> = {
    freeswitch: `<configuration name="json_cdr.conf">\n  <settings>\n    <param name="url" value="${url}"/>\n    <param name="auth-scheme" value="basic"/>\n    <param name="cred" value="${user}:<${secret}>"/>\n    <param name="encode" value="true"/>\n  </settings>\n</configuration>`,
    asterisk: `curl -sS ${url} \\\n  ${bridge.auth.scheme === "basic" ? `-u '${user}:<${secret}>'` : `-H '${header || "webhook-signature: …"}'`} \\\n  -H 'content-type: text/csv' --data-binary @/var/log/asterisk/cdr-csv/Master.csv`,
    twilio: `StatusCallback: ${url}\nStatusCallbackEvent: initiated, answered, completed`,
    livekit: `webhook:\n  api_key: ${user}\n  urls:\n    - ${url}`,
    acs: `CallbackUri: ${basic}${header ? `\n${header}` : ""}`,
    bigbluebutton: `hooks/create?callbackURL=${encodeURIComponent(url)}`,
    jitsi: `POST ${url}\n${header || `Authorization: Basic base64(${user}:<${secret}>)`}`,
    zoom: `Event notification endpoint URL: ${url}\nEvents: meeting.participant_joined, meeting.participant_left, meeting.participant_phone_callout_*`,
    perminute: `POST ${url}\ncontent-type: application/json\n${header || "webhook-id, webhook-timestamp, webhook-signature (Standard Webhooks)"}\n\n{"leg_id": "…", "conference_id": "…", "kind": "dial_out", "from": "+33…", "to": "+44…",\n "started_at": "…", "answered_at": "…", "ended_at": "…"}`,
  };
  return (
    <Card title={t("Recipe")} wide>
      <p class="about">{t("The configuration of {bridge}. Put its secret in the marked place: Perminute does not show the secret again.", { bridge: bridge.id })}</p>
      <pre tabIndex={0}>{texts[bridge.dialect] ?? url}</pre>
    </Card>
  );
}
