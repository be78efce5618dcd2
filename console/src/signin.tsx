import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { ApiError } from "./api/client";
import { t } from "./i18n";
import { type Config, signedOut, useKey } from "./session";
import { Buttons, fields, Input, Problem, useAction } from "./ui";

export function SignIn(props: { config: Config; error: ApiError | undefined; isExpired: boolean; onEnter: () => Promise<void>; tools: JSX.Element }): JSX.Element {
  const action = useAction();
  const [isLeaving, setLeaving] = useState(false);
  const submit = (event: Event): void => {
    const { key, keep } = fields(event);
    void action.run(async () => {
      if (!key) throw new ApiError(400, t("No key"), t("Enter an API key."), "", "");
      if (!/^[!-~]+$/.test(key)) throw new ApiError(401, "", "", "", "");
      useKey(key, keep === "on");
      try {
        await props.onEnter();
      } catch (error) {
        signedOut();
        throw error;
      }
    });
  };
  const withEntra = (): void => {
    setLeaving(true);
    void action.run(async () => {
      if (props.config.entra) await (await import("./entra")).signIn(props.config.entra);
    });
  };
  const error = action.error ?? props.error;
  return (
    <main class="center">
      <div class="card sign-in">
        <h1>
          <img src="/console/icon.svg" alt="" width="34" height="34" /> Perminute
        </h1>
        <p class="about">{t("The cost of conference calls, and the credits that pay for them.")}</p>
        {!error && props.isExpired && <p class="banner warn" role="alert">{t("The session has ended: the API no longer accepts the key or token. Sign in again to go on with the same page.")}</p>}
        {error && (error.status === 401 ? <p class="problem" role="alert">{t("The API does not accept this key.")}</p> : <Problem error={error} {...(error === props.error ? { retry: () => location.reload() } : {})} />)}
        {props.config.entra && (
          <>
            <button type="button" class="primary block" disabled={isLeaving} onClick={withEntra}>
              {t("Sign in with Microsoft Entra")}
            </button>
            <p class="or">{t("or")}</p>
          </>
        )}
        <form onSubmit={submit}>
          <Input label={t("API key")} name="key" type="password" required spellcheck={false} hint={t("The key stays in this tab and is gone when the page is loaded again.")} />
          <label class="check">
            <input type="checkbox" name="keep" /> {t("Keep it until this tab is closed")}
          </label>
          <Buttons submit={t("Sign in")} isBusy={action.isBusy} />
        </form>
        {props.tools}
      </div>
    </main>
  );
}
