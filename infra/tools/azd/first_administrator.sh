#!/bin/sh
# Runs after `azd deploy`: waits until the app is healthy, creates the first administrator's key once,
# and prints the addresses. The key is stored in the vault and never printed.
set -eu
umask 077
. "$(dirname "$0")/../shell.sh"
need az curl sed
url="${PERMINUTE_URL:?}"
url="${url%/}"
vault="${KEY_VAULT_NAME:?}"
tries="${PERMINUTE_TRIES:-60}"
pause_seconds="${PERMINUTE_PAUSE_SECONDS:-10}"
name=first-admin-key
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

left="$tries"
until curl --silent --fail --max-time 30 --output "$work/health" "$url/api/health"; do
  left=$((left - 1))
  if [ "$left" -le 0 ]; then
    echo "$url/api/health does not answer 200. See docs/operations.md#health." >&2
    exit 1
  fi
  sleep "$pause_seconds"
done
echo "healthy: $(cat "$work/health")"

if az keyvault secret show --vault-name "$vault" --name "$name" --query id --output none 2>"$work/error"; then
  echo "first administrator: kept"
elif ! grep -q SecretNotFound "$work/error"; then
  cat "$work/error" >&2
  exit 1
elif [ "${PERMINUTE_BOOTSTRAP_ADMIN:-true}" != true ]; then
  echo "first administrator: none, as PERMINUTE_BOOTSTRAP_ADMIN is false"
else
  bootstrap="$(value_of az keyvault secret show --vault-name "$vault" --name bootstrap-admin-key --query value --output tsv)"
  printf 'header = "authorization: Bearer %s"\n' "$bootstrap" >"$work/curl"
  curl --silent --show-error --fail-with-body --max-time 30 --config "$work/curl" \
    --header 'content-type: application/json' \
    --data '{"name": "first administrator", "roles": ["admin"], "accounts": ["*"]}' \
    --output "$work/answer" "$url/api/v1/api-keys" || { cat "$work/answer" >&2; exit 1; }
  sed -n 's/.*"key": *"\([^"]*\)".*/\1/p' "$work/answer" | tr -d '\n' >"$work/value"
  [ -s "$work/value" ] || { echo "no key in the answer" >&2; exit 1; }
  # A name whose secret was deleted is free again only some time after it was recovered.
  left="$tries"
  until az keyvault secret set --vault-name "$vault" --name "$name" --file "$work/value" --encoding utf-8 \
    --output none 2>"$work/error"; do
    left=$((left - 1))
    if [ "$left" -le 0 ] || ! grep -Eq 'ObjectIsDeletedButRecoverable|ObjectIsBeingRecovered|Forbidden' "$work/error"; then
      cat "$work/error" >&2
      echo "The key \"first administrator\" was created but not stored. Delete it: perminute login, then DELETE /api/v1/api-keys/{id}." >&2
      exit 1
    fi
    if grep -q ObjectIsDeletedButRecoverable "$work/error"; then
      az keyvault secret recover --vault-name "$vault" --name "$name" --output none || true
    fi
    sleep "$pause_seconds"
  done
  # The next `azd provision` removes the setting of the bootstrap key.
  azd env set PERMINUTE_BOOTSTRAP_ADMIN false || echo "azd env set failed: set PERMINUTE_BOOTSTRAP_ADMIN to false" >&2
  echo "first administrator: made"
fi

cat <<END

  address  $url
  console  $url/console/
  key      az keyvault secret show --vault-name $vault --name $name --query value --output tsv

Next:
  perminute login --url $url
  perminute status
  azd provision    # disables the bootstrap key
END
