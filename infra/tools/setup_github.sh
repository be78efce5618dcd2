#!/bin/sh
# Creates the pipeline's identities, roles and GitHub environments; existing ones remain. Without
# --apply the script only prints the commands. It needs `az login` as Owner of the subscription (or as
# Contributor with User Access Administrator), `gh auth login` as an administrator of the repository,
# and jq. Run `az deployment sub create` with infra/prod.bicepparam first: it creates the identity of
# the environment `production`.
#
#   infra/tools/setup_github.sh OWNER/REPOSITORY SUBSCRIPTION_ID LOCATION [--apply]
set -eu
. "$(dirname "$0")/shell.sh"
usage="usage: infra/tools/setup_github.sh OWNER/REPOSITORY SUBSCRIPTION_ID LOCATION [--apply]"
repository="${1:?$usage}"
subscription="${2:?$usage}"
location="${3:?$usage}"
apply="${4:-}"
case "$repository" in */*/* | /* | */ | *[!A-Za-z0-9._/-]*) echo "$usage" >&2; exit 2 ;; */*) ;; *) echo "$usage" >&2; exit 2 ;; esac
case "$subscription" in *[!0-9A-Fa-f-]*) echo "SUBSCRIPTION_ID is not an id: $subscription" >&2; exit 2 ;; esac
case "$apply" in '' | --apply) ;; *) echo "$usage" >&2; exit 2 ;; esac
need az gh jq
tries="${PERMINUTE_TRIES:-30}"
pause_seconds="${PERMINUTE_PAUSE_SECONDS:-10}"
group=perminute-deployers
scope="/subscriptions/$subscription"
issuer=https://token.actions.githubusercontent.com

run() {
  if [ "$apply" = --apply ]; then
    "$@"
  else
    printf 'would run:'
    for word; do
      case "$word" in
        *[!A-Za-z0-9_./:=@,%+-]* | '') printf " '%s'" "$(printf %s "$word" | sed "s/'/'\\\\''/g")" ;;
        *) printf ' %s' "$word" ;;
      esac
    done
    printf '\n'
  fi
}

# The subject in GitHub's tokens: repo:owner@id/name@id in repositories created since July 2026.
prefix="$(value_of gh api "repos/$repository/actions/oidc/customization/sub" --jq '.sub_claim_prefix // empty')"
prefix="${prefix:-repo:$repository}"
tenant="$(value_of az account show --subscription "$subscription" --query tenantId --output tsv)"
[ -n "$tenant" ] || { echo "az sees no subscription $subscription: az login" >&2; exit 1; }
echo "subject of tokens: $prefix:environment:ENVIRONMENT"

if [ "$(value_of az group exists --subscription "$subscription" --name "$group" --output tsv)" != true ]; then
  run az group create --subscription "$subscription" --name "$group" --location "$location" --output none
fi

# What-if needs these two beside Reader; no built-in role has them without the right to write.
role="Perminute planner $(printf %s "$subscription" | cut -c1-8)"
if [ -z "$(lines_of az role definition list --subscription "$subscription" --name "$role" --query '[].id' --output tsv)" ]; then
  run az role definition create --subscription "$subscription" --output none --role-definition "$(jq -n \
    --arg name "$role" --arg scope "$scope" '{Name: $name, Description: "Requests what-if.", Actions: [
      "Microsoft.Resources/deployments/validate/action", "Microsoft.Resources/deployments/whatIf/action"],
      AssignableScopes: [$scope]}')"
fi

# A new role takes minutes to reach every server.
again() {
  left="$tries"
  until run "$@"; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || return 1
    sleep "$pause_seconds"
  done
}

assign() { # identity's principal, role
  # Azure knows neither a principal nor a role that this run creates.
  found="$(lines_of az role assignment list --subscription "$subscription" --assignee "$1" --role "$2" \
    --scope "$scope" --query '[].id' --output tsv 2>/dev/null || true)"
  if [ -z "$found" ]; then
    again az role assignment create --subscription "$subscription" --role "$2" --scope "$scope" \
      --assignee-object-id "$1" --assignee-principal-type ServicePrincipal --output none
  fi
}

variable() { # environment, name, value
  if [ -n "$3" ]; then
    run gh variable set "$2" --repo "$repository" --env "$1" --body "$3"
  fi
}

environment() { # name, client id of its identity
  run gh api --silent --method PUT "repos/$repository/environments/$1"
  variable "$1" AZURE_CLIENT_ID "$2"
  variable "$1" AZURE_TENANT_ID "$tenant"
  variable "$1" AZURE_SUBSCRIPTION_ID "$subscription"
}

for name in plan infrastructure; do
  identity="perminute-$name"
  show() {
    value_of az identity list --subscription "$subscription" --resource-group "$group" \
      --query "[?name=='$identity'].$1" --output tsv 2>/dev/null || true
  }
  if [ -z "$(show clientId)" ]; then
    run az identity create --subscription "$subscription" --resource-group "$group" --name "$identity" \
      --location "$location" --output none
  fi
  subject="$prefix:environment:$name"
  federated="$(value_of az identity federated-credential list --subscription "$subscription" --resource-group "$group" \
    --identity-name "$identity" --query "[?name=='github'].subject" --output tsv 2>/dev/null || true)"
  if [ "$federated" != "$subject" ]; then
    verb=create
    [ -z "$federated" ] || verb=update
    run az identity federated-credential "$verb" --subscription "$subscription" --resource-group "$group" \
      --identity-name "$identity" --name github --issuer "$issuer" --subject "$subject" \
      --audiences api://AzureADTokenExchange --output none
  fi
  left="$tries"
  until principal="$(show principalId)"; [ -n "$principal" ] || [ "$apply" != --apply ]; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || { echo "az shows no identity $identity in the group $group. Run this script again." >&2; exit 1; }
    sleep "$pause_seconds"
  done
  principal="${principal:-PRINCIPAL_OF_$name}"
  if [ "$name" = plan ]; then
    assign "$principal" Reader
    assign "$principal" "$role"
  else
    # The template makes locks and a role, which Contributor and RBAC Administrator may not.
    assign "$principal" Contributor
    assign "$principal" "User Access Administrator"
  fi
  client="$(show clientId)"
  environment "$name" "${client:-CLIENT_OF_$name}"
  variable "$name" AZURE_LOCATION "$location"
  variable "$name" OIDC_SUBJECT_PREFIX "$prefix"
  for each in ENTRA_AUDIENCE ENTRA_TENANT_ID FINANCE_GROUP_ID PERMINUTE_ALERT_EMAILS PERMINUTE_ANCHORS_LOCKED \
    PERMINUTE_BOOTSTRAP_ADMIN PERMINUTE_COST_CENTER PERMINUTE_OWNER SMTP_FROM SMTP_HOST SMTP_USERNAME; do
    value="$(printenv "$each" || true)"
    variable "$name" "$each" "$value"
  done
done

outputs="$(az deployment sub show --subscription "$subscription" --name perminute --query properties.outputs \
  --output json 2>/dev/null || true)"
output() { printf '%s' "${outputs:-null}" | jq -r --arg name "$1" '(. // {}) | [.[keys[] | select(ascii_upcase == $name)].value][0] // empty'; }
deployer="$(output DEPLOYER_CLIENT_ID)"
if [ -n "$deployer" ]; then
  environment production "$deployer"
  for each in AZURE_RESOURCE_GROUP FUNCTION_APP_NAME PERMINUTE_URL; do
    variable production "$each" "$(output "$each")"
  done
  echo "production: require reviewers at https://github.com/$repository/settings/environments"
else
  echo "production: deploy infra/prod.bicepparam with GITHUB_SUBJECT_PREFIX=$prefix, then run this again"
fi
[ "$apply" = --apply ] || echo "Nothing was changed. Run the script with --apply to apply the changes."
