#!/bin/sh
# Runs before `azd down`: lists the data that is destroyed, refuses if the environment keeps its data,
# and removes the policies of a trial's containers, because a policy prevents the deletion of its account.
set -eu
. "$(dirname "$0")/../shell.sh"
need az
group="${AZURE_RESOURCE_GROUP:?}"
proof="${PROOF_STORAGE_NAME:?}"

refuse() {
  echo "azd down is refused: $1" >&2
  echo "This environment keeps its data. docs/operations.md#taking-it-down has the steps." >&2
  exit 1
}

[ "${PERMINUTE_LOCK_DATA:-false}" = false ] || refuse "PERMINUTE_LOCK_DATA is $PERMINUTE_LOCK_DATA"
locks="$(lines_of az lock list --resource-group "$group" --query "[].name" --output tsv)"
[ -z "$locks" ] || refuse "the group $group has locks"

policies=""
for container in anchors accepted-legs; do
  found="$(lines_of az storage container immutability-policy show --resource-group "$group" --account-name "$proof" \
    --container-name "$container" --query "[state, etag]" --output tsv)"
  case "$found" in
    Locked*) refuse "the policy of the container $container is locked" ;;
    Unlocked*) policies="$policies $container=$(printf '%s' "$found" | tail -n 1 | sed 's/^Unlocked[[:space:]]*//')" ;;
  esac
done

cat <<END
azd down destroys permanently, in the group $group:
  every ledger, organizer, rate card, key and setting
  the anchors and the archive that prove and rebuild them
  logs, alerts and the vault with its keys
A copy of a ledger: python -m infra.tools.ledgers export ACCOUNT FILE
END
for each in $policies; do
  az storage container immutability-policy delete --resource-group "$group" --account-name "$proof" \
    --container-name "${each%%=*}" --if-match "${each#*=}" --output none
done
echo "With azd down --purge the vault's name is free at once, else after 7 days."
