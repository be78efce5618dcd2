using 'main.bicep'

import { areAddresses, isName, partsOf } from 'modules/names.bicep'

// For `azd up`, which sets AZURE_ENV_NAME, AZURE_LOCATION and AZURE_PRINCIPAL_ID; the other variables
// are set with `azd env set`. Without PERMINUTE_LOCK_DATA the environment is a trial: no always-ready
// instance, no lock, and `azd down` deletes everything.
var keeps = bool(readEnvironmentVariable('PERMINUTE_LOCK_DATA', 'false'))
var name = readEnvironmentVariable('AZURE_ENV_NAME', 'try')
var emails = readEnvironmentVariable('PERMINUTE_ALERT_EMAILS', 'perminute@example.com')
param environmentName = isName(name)
  ? name
  : fail('${name} can not be part of the names: 2 to 12 of a-z, 0-9 and single - inside. azd env new makes another one.')
param location = readEnvironmentVariable('AZURE_LOCATION', 'westeurope')
param proofLocation = readEnvironmentVariable('PERMINUTE_PROOF_LOCATION', 'northeurope')
param costTags = {
  costCenter: readEnvironmentVariable('PERMINUTE_COST_CENTER', 'telephony')
  owner: readEnvironmentVariable('PERMINUTE_OWNER', 'perminute@example.com')
}
param alertEmails = areAddresses(emails)
  ? partsOf(emails)
  : fail('PERMINUTE_ALERT_EMAILS: e-mail addresses, commas between')
param ledgerShards = int(readEnvironmentVariable('PERMINUTE_LEDGER_SHARDS', '1'))
param ledgerRedundancy = 'Standard_ZRS'
param lockData = keeps
param anchorsLocked = bool(readEnvironmentVariable('PERMINUTE_ANCHORS_LOCKED', 'false'))
param operator = {
  id: readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
  type: readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User') == 'ServicePrincipal' ? 'ServicePrincipal' : 'User'
}
param scale = {
  httpConcurrency: 40
  alwaysReadyHttp: keeps ? 2 : 0
  alwaysReadyDebits: 0
  instanceMemoryMB: 2048
  maximumInstanceCount: keeps ? 40 : 5
  zoneRedundant: false
  rollingUpdates: keeps
}
param options = {
  lockSeconds: 300
  schedules: { lowBalance: '0 * * * * *', inbox: '30 * * * * *', nightlyAudit: '0 0 2 * * *', webhooks: '15 * * * * *' }
  bootstrapAdmin: bool(readEnvironmentVariable('PERMINUTE_BOOTSTRAP_ADMIN', 'true'))
  openTelemetry: bool(readEnvironmentVariable('PERMINUTE_OPEN_TELEMETRY', 'false'))
  mail: {
    host: readEnvironmentVariable('SMTP_HOST', '')
    port: 587
    security: 'starttls'
    username: readEnvironmentVariable('SMTP_USERNAME', '')
    from: readEnvironmentVariable('SMTP_FROM', '')
  }
  entra: {
    tenantId: readEnvironmentVariable('ENTRA_TENANT_ID', '')
    audience: readEnvironmentVariable('ENTRA_AUDIENCE', '')
  }
}
param keepDays = keeps
  ? { logs: 90, anchors: 365, archive: 35, secrets: 90 }
  : { logs: 30, anchors: 1, archive: 35, secrets: 7 }
