import type { ComponentChildren, ComponentType, JSX } from "preact";
import { Component, lazy, Suspense } from "preact/compat";
import { useEffect, useState } from "preact/hooks";
import { api, type ApiError, data, json } from "./api/client";
import { choose, language, t } from "./i18n";
import { Icon } from "./icons";
import { change, go, href, usePlace } from "./router";
import {
  type Caller,
  type Config,
  holds,
  restoreKey,
  type Role,
  signedOut,
  takeKeyFromAddress,
  useToken,
  whenSignedOut,
} from "./session";
import { SignIn } from "./signin";
import { toggleTheme } from "./theme";
import { type Account, AccountContext, asApiError, CallerContext, Empty, Load, Notices, Page, Problem, Select, useLoad } from "./ui";

const READ: Role[] = ["reader", "finance", "operator"];

type Entry = { page: string; title: string; needsAccount: boolean; roles: Role[]; view: ComponentType };
const load = (name: string, get: () => Promise<{ default: ComponentType }>): ComponentType => {
  const view = lazy(get);
  view.displayName = name;
  return view as ComponentType;
};
const PAGES: Entry[] = [
  { page: "overview", title: "Overview", needsAccount: true, roles: READ, view: load("Overview", () => import("./pages/overview")) },
  { page: "usage", title: "Usage", needsAccount: true, roles: READ, view: load("Usage", () => import("./pages/usage")) },
  { page: "legs", title: "Legs", needsAccount: true, roles: READ, view: load("Legs", () => import("./pages/legs")) },
  { page: "credits", title: "Credits", needsAccount: true, roles: READ, view: load("Credits", () => import("./pages/credits")) },
  { page: "policy", title: "Policy", needsAccount: true, roles: READ, view: load("Policy", () => import("./pages/policy")) },
  { page: "cards", title: "Rate cards", needsAccount: true, roles: READ, view: load("Cards", () => import("./pages/cards")) },
  { page: "parked", title: "Parked legs", needsAccount: false, roles: READ, view: load("Parked", () => import("./pages/parked")) },
  { page: "directory", title: "Directory", needsAccount: true, roles: READ, view: load("Directory", () => import("./pages/directory")) },
  { page: "status", title: "Status", needsAccount: false, roles: READ, view: load("Status", () => import("./pages/status")) },
];
const HIDDEN: Entry[] = [
  { page: "leg", title: "Leg", needsAccount: true, roles: READ, view: load("Leg", () => import("./pages/leg")) },
  { page: "statement", title: "Statement", needsAccount: true, roles: READ, view: load("Statement", () => import("./pages/statement")) },
];

type State = { caller?: Caller; config?: Config; error?: ApiError; isExpired?: boolean };

export function App(): JSX.Element {
  const [state, set] = useState<State>({});
  const [, redraw] = useState(0);
  const enter = async (): Promise<void> => {
    const caller = (await data(api.GET("/api/v1/caller"))) as Caller;
    set((before) => ({ ...(before.config ? { config: before.config } : {}), caller }));
  };
  useEffect(() => {
    whenSignedOut((isExpired) => set(({ config, caller }) => ({ ...(config ? { config } : {}), isExpired: isExpired && !!caller })));
    const keyInAddress = (): void => {
      if (takeKeyFromAddress()) void enter().catch((error: unknown) => set((before) => ({ ...before, error: asApiError(error) })));
    };
    addEventListener("hashchange", keyInAddress);
    void (async () => {
      const config = await json<Config>("GET", "/console/config.json");
      try {
        if (config.entra && /[#&](code|error)=/.test(location.hash)) {
          const source = await (await import("./entra")).signedIn(config.entra);
          if (source) {
            useToken(source);
            await enter();
          }
        } else if (takeKeyFromAddress() || restoreKey()) {
          await enter();
        }
      } finally {
        // Not earlier: the sign-in form must not appear while a known key is checked.
        set((before) => ({ ...before, config }));
      }
    })().catch((error: unknown) => set((before) => ({ ...before, error: asApiError(error) })));
    return () => removeEventListener("hashchange", keyInAddress);
  }, []);
  const speak = (wanted: "en" | "fr"): void => void choose(wanted).then(() => redraw((turn) => turn + 1));
  const tools = <Tools onLanguage={speak} caller={state.caller} />;
  if (!state.config) return <main class="center">{state.error && <Problem error={state.error} retry={() => location.reload()} />}</main>;
  if (!state.caller) return <SignIn config={state.config} error={state.error} isExpired={!!state.isExpired} onEnter={enter} tools={tools} />;
  return (
    <CallerContext.Provider value={state.caller}>
      <Shell key={language()} tools={tools} version={state.config.version} caller={state.caller} />
      <Notices />
    </CallerContext.Provider>
  );
}

function Tools(props: { onLanguage: (wanted: "en" | "fr") => void; caller: Caller | undefined }): JSX.Element {
  const other = language() === "en" ? "fr" : "en";
  return (
    <div class="tools">
      <button type="button" class="quiet" lang={other} onClick={() => props.onLanguage(other)}>
        {other === "fr" ? "Français" : "English"}
      </button>
      <button type="button" class="quiet" onClick={toggleTheme}>
        {t("Dark or light")}
      </button>
      {props.caller && (
        <button type="button" class="quiet" onClick={() => signedOut()}>
          {t("Sign out")}
        </button>
      )}
    </div>
  );
}

function Shell(props: { tools: JSX.Element; version: string; caller: Caller }): JSX.Element {
  const at = usePlace();
  const { page, query } = at;
  const [isOpen, setOpen] = useState(false);
  const entry = [...PAGES, ...HIDDEN].find((each) => each.page === (page || "overview"));
  const may = PAGES.filter((each) => holds(props.caller, each.roles));
  const accounts = useLoad(async () => (may.length ? (await data(api.GET("/api/v1/accounts", { params: { query: { limit: 1000 } } }))).items : []), []);
  const account = query.account ?? accounts.data?.[0]?.id ?? "";
  useEffect(() => setOpen(false), [page]);
  const current = page === "leg" ? "legs" : page === "statement" ? "credits" : page || "overview";
  return (
    <div class="shell">
      <a class="skip" href="#main">
        {t("Skip to the content")}
      </a>
      <aside class={isOpen ? "side is-open" : "side"}>
        <div class="brand">
          <a href={href("overview", { account })} class="logo">
            <img src="/console/icon.svg" alt="" width="26" height="26" /> Perminute
          </a>
          <button type="button" class="menu" aria-expanded={isOpen} aria-controls="menu" onClick={() => setOpen(!isOpen)}>
            {t("Menu")}
          </button>
        </div>
        <div class="drawer" id="menu">
          {accounts.data && accounts.data.length > 0 && (
            <Select
              label={t("Account")}
              value={account}
              options={accounts.data.map((each) => [each.id, each.name ? `${each.name} (${each.id})` : each.id] as const)}
              onChange={(event) => go(href(current, { account: event.currentTarget.value }))}
            />
          )}
          <nav aria-label={t("Pages of the console")}>
            <ul>
              {may.map((each) => (
                <li key={each.page}>
                  <a href={href(each.page, { account })} aria-current={each.page === current ? "page" : undefined}>
                    <Icon name={each.page} />
                    {t(each.title)}
                  </a>
                </li>
              ))}
            </ul>
          </nav>
          <div class="who">
            <p>
              <bdi>{props.caller.name}</bdi>
              <br />
              <span class="small">{props.caller.roles.join(", ")}</span>
            </p>
            {props.tools}
            <p class="small">Perminute {props.version}</p>
          </div>
        </div>
      </aside>
      <main id="main" tabIndex={-1}>
        <Fence at={at}>
          <Suspense fallback={null}>
            {may.length === 0 ? (
              <Page title={t("No page for this role")}>
                <Empty>{t("The pages of the console need one of the roles reader, finance and operator; yours is {roles}.", { roles: props.caller.roles.join(", ") })}</Empty>
              </Page>
            ) : !entry ? (
              <Page title={t("No such page")}>
                <Empty>{t("The console has no page of this name.")}</Empty>
              </Page>
            ) : (
              <Load state={accounts}>{() => <OfAccount entry={entry} account={account} />}</Load>
            )}
          </Suspense>
        </Fence>
      </main>
    </div>
  );
}

/** A page that fails is replaced by its error until the next navigation, also to the same address. */
class Fence extends Component<{ at: object; children: ComponentChildren }, { error?: unknown }> {
  override state: { error?: unknown } = {};
  static override getDerivedStateFromError(error: unknown): { error: unknown } {
    return { error };
  }
  override componentDidUpdate(before: { at: object }): void {
    if (before.at !== this.props.at && this.state.error !== undefined) this.setState({ error: undefined });
  }
  override render(): ComponentChildren {
    const { error } = this.state;
    if (error === undefined) return this.props.children;
    return (
      <Page title={t("The console failed")}>
        <Problem error={asApiError(error)} retry={() => location.reload()} />
      </Page>
    );
  }
}

/** A page with the account that the address names. */
function OfAccount({ entry, account }: { entry: Entry; account: string }): JSX.Element {
  const found = useLoad<Account | null>(
    async () => (account ? await data(api.GET("/api/v1/accounts/{account}", { params: { path: { account } } })) : null),
    [account],
  );
  const View = entry.view;
  useEffect(() => {
    if (account) change({ account }, true);
  }, [account, entry.page]);
  return (
    <Load state={found}>
      {(known) =>
        known || !entry.needsAccount ? (
          <AccountContext.Provider value={known ?? { id: "", currency: "", time_zone: "UTC" }}>
            <View />
          </AccountContext.Provider>
        ) : (
          <Page title={t(entry.title)}>
            <Empty>{t("There is no account yet.")}</Empty>
          </Page>
        )
      }
    </Load>
  );
}
