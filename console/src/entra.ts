/** Sign-in with Microsoft Entra: authorization code flow with PKCE, by redirect. Loaded on demand. */
import {
  createStandardPublicClientApplication,
  InteractionRequiredAuthError,
  type IPublicClientApplication,
} from "@azure/msal-browser";
import type { Config } from "./session";

type Entra = NonNullable<Config["entra"]>;

async function application(entra: Entra): Promise<IPublicClientApplication> {
  return createStandardPublicClientApplication({
    auth: {
      clientId: entra.client_id,
      authority: entra.authority,
      redirectUri: `${location.origin}/console/`,
    },
    cache: { cacheLocation: "sessionStorage" },
  });
}

function scopes(entra: Entra): string[] {
  return [`${entra.client_id}/.default`];
}

export async function signIn(entra: Entra): Promise<void> {
  const client = await application(entra);
  await client.loginRedirect({ scopes: scopes(entra), state: here() });
}

/** The page of the console, which the redirect back restores. */
function here(): string {
  return location.pathname + location.search;
}

/** The source of tokens after the redirect back, or null without a sign-in. The address is again
 * that of the page on which the sign-in began. */
export async function signedIn(entra: Entra): Promise<(() => Promise<string>) | null> {
  const client = await application(entra);
  const result = await client.handleRedirectPromise({ navigateToLoginRequestUrl: false });
  history.replaceState(null, "", result?.state?.startsWith("/console/") ? result.state : here());
  const account = result?.account ?? client.getAllAccounts()[0];
  if (!account) return null;
  return async () => {
    try {
      const { accessToken } = await client.acquireTokenSilent({ scopes: scopes(entra), account });
      return accessToken;
    } catch (error) {
      if (error instanceof InteractionRequiredAuthError) {
        await client.acquireTokenRedirect({ scopes: scopes(entra), account, state: here() });
      }
      throw error;
    }
  };
}
