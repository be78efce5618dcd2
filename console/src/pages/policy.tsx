import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { json, seg } from "../api/client";
import { decimal, duration, integer, midnight, month, monthName, regionName, shift, time, words } from "../format";
import { counted, sentence, t } from "../i18n";
import { change, href, usePlace } from "../router";
import { Badge, Buttons, Card, Command, Dialog, Empty, fields, Input, Load, Money, notify, Page, Problem, Select, Stat, Table, Text, useAccount, useAction, useLoad } from "../ui";

export type Policy = {
  default_policy: string;
  suspended: boolean;
  block_high_risk: boolean;
  allowed_regions: string[] | null;
  blocked_regions: string[];
  served_regions: string[] | null;
  unserved_regions: string[];
  allowed_prefixes: string[] | null;
  blocked_prefixes: string[];
  allowed_classes: string[];
  blocked_classes: string[];
  max_price_per_minute: string | null;
  budgets: Record<"day" | "month" | "meeting", { amount: string; mode: string } | null>;
  velocity: { concurrent: number | null; per_hour: number | null; new_region: string; cost_per_ten_minutes: string | null };
  etag?: string;
};

/** How far meetings dial, and how far the user's own calls reach, by name of the policy. */
const REACH: Record<string, [meetings: string, calls: string]> = {
  DialoutCPCandPSTNInternational: ["any", "any"],
  DialoutCPCDomesticPSTNInternational: ["domestic", "any"],
  DialoutCPCDisabledPSTNInternational: ["none", "any"],
  DialoutCPCInternationalPSTNDomestic: ["any", "domestic"],
  DialoutCPCInternationalPSTNDisabled: ["any", "none"],
  DialoutCPCandPSTNDomestic: ["domestic", "domestic"],
  DialoutCPCDomesticPSTNDisabled: ["domestic", "none"],
  DialoutCPCDisabledPSTNDomestic: ["none", "domestic"],
  DialoutCPCandPSTNDisabled: ["none", "none"],
  DialoutCPCZoneAPSTNInternational: ["zone_a", "any"],
  DialoutCPCZoneAPSTNDomestic: ["zone_a", "domestic"],
  DialoutCPCZoneAPSTNDisabled: ["zone_a", "none"],
};
export const POLICIES = Object.keys(REACH);

function reach(code: string): string {
  const texts: Record<string, string> = { any: t("any country"), domestic: t("their country"), zone_a: t("the countries of Zone A"), none: t("no number") };
  return texts[code] ?? code;
}

export function inWords(policy: string): string {
  const [meetings, calls] = REACH[policy] ?? ["any", "any"];
  return t("Meetings dial {meetings}; own calls reach {calls}.", { meetings: reach(meetings), calls: reach(calls) });
}

const regions = (codes: string[]): string => codes.map(regionName).join(", ");

/** The policy as sentences, those that limit something. */
function sentences(policy: Policy, currency: string): string[] {
  const found = [inWords(policy.default_policy)];
  if (policy.suspended) found.push(t("Dial-out is suspended."));
  if (policy.allowed_regions) found.push(t("Only these countries are dialled: {list}.", { list: regions(policy.allowed_regions) || t("none") }));
  if (policy.blocked_regions.length) found.push(t("Never dialled: {list}.", { list: regions(policy.blocked_regions) }));
  if (policy.served_regions) found.push(t("Only these countries are served: {list}.", { list: regions(policy.served_regions) || t("none") }));
  if (policy.unserved_regions.length) found.push(t("Countries without service: {list}.", { list: regions(policy.unserved_regions) }));
  if (policy.allowed_prefixes) found.push(t("Only numbers that begin with: {list}.", { list: policy.allowed_prefixes.join(", ") || t("none") }));
  if (policy.blocked_prefixes.length) found.push(t("No number that begins with: {list}.", { list: policy.blocked_prefixes.join(", ") }));
  if (policy.allowed_classes.length) found.push(t("Kinds of numbers allowed in addition: {list}.", { list: policy.allowed_classes.map(words).join(", ") }));
  if (policy.blocked_classes.length) found.push(t("Kinds of numbers never dialled: {list}.", { list: policy.blocked_classes.map(words).join(", ") }));
  if (policy.block_high_risk) found.push(t("Destinations with a high risk of fraud are blocked."));
  if (policy.max_price_per_minute) found.push(t("No call may cost over {amount} {currency} a minute.", { amount: decimal(policy.max_price_per_minute), currency }));
  for (const [scope, budget] of Object.entries(policy.budgets)) {
    if (budget) found.push(t("Budget: {amount} {currency} per {scope}; beyond it {what}.", { amount: decimal(budget.amount), currency, scope: words(scope).toLowerCase(), what: budget.mode === "hard" ? t("calls are denied") : t("a notice is sent") }));
  }
  const { concurrent, per_hour: hourly, new_region: region, cost_per_ten_minutes: cost } = policy.velocity;
  if (concurrent !== null) found.push(counted(concurrent, "At most {n} call at a time.", "At most {n} calls at a time."));
  if (hourly !== null) found.push(counted(hourly, "At most {n} dial-out an hour.", "At most {n} dial-outs an hour."));
  if (region !== "allow") found.push(region === "deny" ? t("A country that was never dialled before is denied.") : t("A country that was never dialled before raises a notice."));
  if (cost) found.push(t("At most {amount} {currency} in ten minutes.", { amount: decimal(cost), currency }));
  return found;
}

export default function PolicyPage(): JSX.Element {
  const { id, currency } = useAccount();
  const path = `/api/v1/accounts/${seg(id)}/dial-out-policy`;
  const state = useLoad(() => json<Policy>("GET", path), [id]);
  const [isEditing, setEditing] = useState(false);
  return (
    <Page title={t("Policy")} about={t("The rules for dial-out, and the savings of stricter ones.")} actions={<Command roles={["operator"]} label={t("Change…")} onClick={() => setEditing(true)} />}>
      <Load state={state} lines={5}>
        {(policy) => (
          <>
            <div class="grid">
              <Card title={t("In words")}>
                <ul class="sentences">
                  {sentences(policy, currency).map((each) => (
                    <li key={each}>{each}</li>
                  ))}
                </ul>
              </Card>
              <Try />
              <Saving policy={policy} />
              <Denials />
            </div>
            {isEditing && <Edit path={path} policy={policy} onClose={() => { setEditing(false); state.reload(); }} onDone={() => { setEditing(false); notify(t("The policy is changed.")); state.reload(); }} />}
          </>
        )}
      </Load>
    </Page>
  );
}

type Answer = {
  decision: "allow" | "deny";
  reason?: string;
  message?: string;
  granted_seconds?: number;
  price_per_minute?: string;
  connection_fee?: string;
  held?: string;
  currency?: string;
  destination?: { number: string; name: string; number_class: string };
  checks: { check: string; outcome: string; reason?: string; detail: string }[];
};

function Try(): JSX.Element {
  const { id } = useAccount();
  const { query } = usePlace();
  const { to, organizer } = query;
  const state = useLoad(
    async () => (to ? await json<Answer>("POST", `/api/v1/accounts/${seg(id)}/dial-out-policy/try`, { body: { to, ...(organizer ? { organizer_id: organizer } : {}) } }) : null),
    [id, to, organizer],
  );
  const submit = (event: Event): void => {
    const given = fields(event);
    change({ to: given.to, organizer: given.organizer });
    state.reload();
  };
  return (
    <Card title={t("Try a number")}>
      <form onSubmit={submit}>
        <div class="two">
          <Input label={t("Number")} name="to" inputMode="tel" required placeholder="+44…" maxLength={200} defaultValue={query.to} />
          <Input label={t("Organizer")} name="organizer" defaultValue={query.organizer} />
        </div>
        <Buttons submit={t("Try")} isBusy={state.isLoading} />
      </form>
      <Load state={state} lines={1}>
        {(answer) => answer && (
        <div role="status">
          <p class={`banner ${answer.decision === "allow" ? "good" : ""}`}>
            {answer.decision === "allow" ? (
              <>
                <strong>{t("Allowed")}</strong> {answer.destination?.name}
                {answer.granted_seconds !== undefined && ` · ${t("granted {time}", { time: duration(answer.granted_seconds) })}`}
                {answer.price_per_minute && (
                  <>
                    {" · "}
                    <Money value={answer.price_per_minute} {...(answer.currency ? { currency: answer.currency } : {})} /> {t("a minute")}
                  </>
                )}
              </>
            ) : (
              <>
                <strong>{t("Denied: {why}", { why: words(answer.reason ?? "") })}</strong> {sentence(answer.message)}
              </>
            )}
          </p>
          <ol class="checks">
            {answer.checks.map((each) => (
              <li key={each.check}>
                <span class={`mark ${each.outcome}`} aria-hidden="true">
                  {each.outcome === "pass" ? "✓" : each.outcome === "fail" ? "✕" : "–"}
                </span>
                <span>
                  <span class="hidden">{words(each.outcome)}: </span>
                  <strong>{words(each.check)}</strong> <span class="small">{sentence(each.detail)}</span>
                </span>
              </li>
            ))}
          </ol>
        </div>
        )}
      </Load>
    </Card>
  );
}

type WhatIf = { legs: number; denied: number; saved: string; unknown: number; more: boolean; by_reason: Record<string, { legs: number; saved: string }> };

/** What a stricter policy would have denied last month. */
function Saving({ policy }: { policy: Policy }): JSX.Element {
  const { id, currency, time_zone: zone } = useAccount();
  const { query } = usePlace();
  const { simulate, stricter, price, risk, blocked } = query;
  const last = shift(month(zone), -1);
  const simulated = async (): Promise<WhatIf | null> => {
    if (!simulate) return null;
    const { etag: _, ...rest } = policy;
    const wanted = {
      ...rest,
      ...(stricter ? { default_policy: stricter } : {}),
      ...(price ? { max_price_per_minute: price } : {}),
      ...(risk ? { block_high_risk: true } : {}),
      ...(blocked ? { blocked_regions: [...new Set([...policy.blocked_regions, ...blocked.toUpperCase().split(/[\s,;]+/)])] } : {}),
    };
    return await json<WhatIf>("POST", `/api/v1/accounts/${seg(id)}/dial-out-policy/what-if`, { body: { policy: wanted, from: midnight(`${last}-01`, zone), to: midnight(`${shift(last, 1)}-01`, zone) } });
  };
  const state = useLoad(simulated, [id, simulate, stricter, price, risk, blocked, policy.etag]);
  const submit = (event: Event): void => {
    const given = fields(event);
    change({ simulate: "true", stricter: given.stricter, price: given.price, risk: given.risk, blocked: given.blocked });
    state.reload();
  };
  return (
    <Card title={t("Savings of a stricter policy in {month}", { month: monthName(last) })}>
      <form onSubmit={submit}>
        <Select label={t("Policy of organizers without their own")} name="stricter" value={stricter ?? policy.default_policy} options={POLICIES.map((each) => [each, inWords(each)] as const)} />
        <div class="two">
          <Input label={t("Most per minute, in {currency}", { currency })} name="price" pattern="[0-9]+([.][0-9]+)?" defaultValue={price ?? policy.max_price_per_minute ?? undefined} />
          <Input label={t("Also block the countries")} name="blocked" defaultValue={blocked} placeholder="CU, KP" pattern="[A-Za-z,; ]+" title={t("Codes of two letters")} />
        </div>
        <label class="check">
          <input type="checkbox" name="risk" defaultChecked={!!risk || policy.block_high_risk} /> {t("Block destinations with a high risk of fraud")}
        </label>
        <Buttons submit={t("Calculate")} isBusy={state.isLoading} />
      </form>
      <Load state={state} lines={2}>
        {(found) => found && (
        <div role="status">
          <dl class="stats">
            <Stat label={t("Saved")} tone="good">
              <Money value={found.saved} currency={currency} />
            </Stat>
            <Stat label={t("Denied")} note={counted(found.legs, "of {n} dial-out", "of {n} dial-outs")}>
              {integer(found.denied)}
            </Stat>
          </dl>
          {Object.keys(found.by_reason).length > 0 && (
            <Table
              caption={t("By reason")}
              rows={Object.entries(found.by_reason)}
              id={([reason]) => reason}
              columns={[
                { name: t("Reason"), cell: ([reason]) => words(reason) },
                { name: t("Legs"), right: true, cell: ([, each]) => integer(each.legs) },
                { name: t("Saved"), right: true, cell: ([, each]) => <Money value={each.saved} /> },
              ]}
            />
          )}
          {found.unknown > 0 && <p class="small">{counted(found.unknown, "{n} leg can't be simulated: its number was erased or its dial-out is not known.", "{n} legs can't be simulated: their number was erased or their dial-out is not known.")}</p>}
          {found.more && <p class="small">{t("The month has more dial-outs than the simulation includes.")}</p>}
        </div>
        )}
      </Load>
    </Card>
  );
}

type Denial = { at: string; bridge: string; to: string; region?: string | null; reason: string; message?: string; organizer?: string | null };

function Denials(): JSX.Element {
  const { id, time_zone: zone } = useAccount();
  const { query } = usePlace();
  const path = `/api/v1/accounts/${seg(id)}/denials`;
  const state = useLoad(() => json<{ items: Denial[] }>("GET", path, { query: { limit: 15, reason: query.reason } }), [id, query.reason]);
  return (
    <Card title={t("Recent denials")} wide>
      <Load state={state}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty>{t("Nothing was denied.")}</Empty>
          ) : (
            <Table
              caption={t("Recent denials")}
              rows={items}
              id={(row, index) => `${row.at}${index}`}
              columns={[
                { name: t("At"), isShort: true, cell: (row) => time(row.at, zone) },
                { name: t("To"), isShort: true, cell: (row) => <Text>{row.to}</Text> },
                { name: t("Reason"), cell: (row) => <Badge tone="warn">{words(row.reason)}</Badge> },
                { name: t("Organizer"), cell: (row) => (row.organizer ? <a href={href("directory", { account: id, prefix: row.organizer })}><Text>{row.organizer}</Text></a> : <span class="none">–</span>) },
              ]}
            />
          )
        }
      </Load>
    </Card>
  );
}

const list = (text: string | undefined): string[] => (text ? text.split(/[\s,;]+/).filter(Boolean) : []);

function Edit(props: { path: string; policy: Policy; onDone: () => void; onClose: () => void }): JSX.Element {
  const { currency } = useAccount();
  const { policy } = props;
  const action = useAction();
  const submit = (event: Event): void => {
    const given = fields(event);
    const body = {
      default_policy: given.default_policy,
      blocked_regions: list(given.blocked_regions?.toUpperCase()),
      allowed_regions: given.allowed_regions ? list(given.allowed_regions.toUpperCase()) : null,
      blocked_prefixes: list(given.blocked_prefixes),
      max_price_per_minute: given.max_price_per_minute ?? null,
      block_high_risk: given.block_high_risk === "on",
      budgets: Object.fromEntries((["day", "month", "meeting"] as const).map((scope) => [scope, given[scope] ? { amount: given[scope], mode: policy.budgets[scope]?.mode ?? "hard" } : null])),
    };
    void action.run(async () => {
      await json("PATCH", props.path, { body, ...(policy.etag ? { headers: { "If-Match": policy.etag } } : {}) });
      props.onDone();
    });
  };
  return (
    <Dialog title={t("Change the policy")} wide onClose={props.onClose}>
      <form onSubmit={submit}>
        <Select label={t("Policy of organizers without their own")} name="default_policy" value={policy.default_policy} options={POLICIES.map((each) => [each, inWords(each)] as const)} />
        <div class="two">
          <Input label={t("Countries that are never dialled")} name="blocked_regions" defaultValue={policy.blocked_regions.join(", ")} hint={t("Codes of two letters")} />
          <Input label={t("Only these countries")} name="allowed_regions" defaultValue={policy.allowed_regions?.join(", ")} hint={t("Empty: all")} />
          <Input label={t("Prefixes that are never dialled")} name="blocked_prefixes" defaultValue={policy.blocked_prefixes.join(", ")} />
          <Input label={t("Most per minute, in {currency}", { currency })} name="max_price_per_minute" defaultValue={policy.max_price_per_minute ?? undefined} />
          <Input label={t("Budget of a day")} name="day" defaultValue={policy.budgets.day?.amount} />
          <Input label={t("Budget of a month")} name="month" defaultValue={policy.budgets.month?.amount} />
          <Input label={t("Budget of a meeting")} name="meeting" defaultValue={policy.budgets.meeting?.amount} />
        </div>
        <label class="check">
          <input type="checkbox" name="block_high_risk" defaultChecked={policy.block_high_risk} /> {t("Block destinations with a high risk of fraud")}
        </label>
        {action.error && <Problem error={action.error} />}
        <Buttons submit={t("Save")} isBusy={action.isBusy} onCancel={props.onClose} />
      </form>
    </Dialog>
  );
}
