#!/bin/sh
# Creates the secrets that the app needs, once: an existing secret is never overwritten, and a deleted
# secret is recovered. Then the app reads its references again. Runs after `azd provision`, or by hand
# with KEY_VAULT_NAME, AZURE_RESOURCE_GROUP and FUNCTION_APP_NAME in the environment.
set -eu
umask 077
. "$(dirname "$0")/../shell.sh"
need az openssl
vault="${KEY_VAULT_NAME:?}"
group="${AZURE_RESOURCE_GROUP:?}"
app="${FUNCTION_APP_NAME:?}"
tries="${PERMINUTE_TRIES:-30}"
pause_seconds="${PERMINUTE_PAUSE_SECONDS:-10}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# A role takes minutes to reach the vault: refused requests are made again.
ensure() {
  left="$tries"
  while :; do
    if az keyvault secret show --vault-name "$vault" --name "$1" --query id --output none 2>"$work/error"; then
      echo "secret $1: kept"
      return
    fi
    if grep -q SecretNotFound "$work/error"; then
      openssl rand -base64 32 | tr -d '\r\n' >"$work/value"
      [ "$(wc -c <"$work/value")" -eq 44 ] || { echo "openssl made no key of 32 bytes" >&2; exit 1; }
      if az keyvault secret set --vault-name "$vault" --name "$1" --file "$work/value" --encoding utf-8 \
        --output none 2>"$work/error"; then
        echo "secret $1: made"
        return
      fi
      if grep -q ObjectIsDeletedButRecoverable "$work/error"; then
        az keyvault secret recover --vault-name "$vault" --name "$1" --output none
        echo "secret $1: recovered"
        return
      fi
    fi
    left=$((left - 1))
    if ! grep -q Forbidden "$work/error" || [ "$left" -le 0 ]; then
      cat "$work/error" >&2
      echo "secret $1: not made. You need the role Key Vault Secrets Officer on $vault." >&2
      exit 1
    fi
    echo "secret $1: the role has not reached the vault yet"
    sleep "$pause_seconds"
  done
}

for name in chain-key archive-key secrets-key proof-key; do ensure "$name"; done
if [ "${PERMINUTE_BOOTSTRAP_ADMIN:-true}" = true ]; then ensure bootstrap-admin-key; fi

# Without this call Azure resolves references once a day, and a restart alone resolves none.
id="$(value_of az functionapp show --resource-group "$group" --name "$app" --query id --output tsv)"
case "$id" in /subscriptions/*) ;; *) echo "az printed no id of $app: $id" >&2; exit 1 ;; esac
references="https://management.azure.com$id/config/configreferences/appsettings"
az rest --method post --url "$references/refresh?api-version=2022-03-01" --output none
left="$tries"
while :; do
  open="$(lines_of az rest --method get --url "$references?api-version=2022-03-01" \
    --query "value[?properties.status!='Resolved'].name" --output tsv)"
  if [ -z "$open" ]; then
    echo "references to the vault: resolved"
    exit 0
  fi
  left=$((left - 1))
  if [ "$left" -le 0 ]; then
    # shellcheck disable=SC2086 # one line
    echo "references to the vault that are not resolved:" $open >&2
    exit 1
  fi
  sleep "$pause_seconds"
done
