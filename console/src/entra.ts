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
  await client.loginRedirect({ scopes: scopes(entra) });
}

/** The source of tokens after the redirect back, or null if nobody signed in. */
export async function signedIn(entra: Entra): Promise<(() => Promise<string>) | null> {
  const client = await application(entra);
  const result = await client.handleRedirectPromise();
  const account = result?.account ?? client.getAllAccounts()[0];
  if (!account) return null;
  return async () => {
    try {
      const { accessToken } = await client.acquireTokenSilent({ scopes: scopes(entra), account });
      return accessToken;
    } catch (error) {
      if (error instanceof InteractionRequiredAuthError) {
        await client.acquireTokenRedirect({ scopes: scopes(entra), account });
      }
      throw error;
    }
  };
}
