using 'main.bicep'

// For `azd provision`, which sets AZURE_ENV_NAME and AZURE_LOCATION; the other variables are set
// with `azd env set`. A bootstrap key in the vault opens the door once: docs/operations.md.
param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'try')
param location = readEnvironmentVariable('AZURE_LOCATION', 'westeurope')
param proofLocation = readEnvironmentVariable('PERMINUTE_PROOF_LOCATION', 'northeurope')
param costTags = {
  costCenter: readEnvironmentVariable('PERMINUTE_COST_CENTER', 'telephony')
  owner: readEnvironmentVariable('PERMINUTE_OWNER', 'perminute@example.com')
}
param alertEmails = split(readEnvironmentVariable('PERMINUTE_ALERT_EMAILS', 'perminute@example.com'), ',')
param ledgerShards = int(readEnvironmentVariable('PERMINUTE_LEDGER_SHARDS', '1'))
param ledgerRedundancy = 'Standard_ZRS'
param lockData = bool(readEnvironmentVariable('PERMINUTE_LOCK_DATA', 'true'))
param scale = {
  httpConcurrency: 40
  alwaysReadyHttp: 1
  alwaysReadyDebits: 0
  instanceMemoryMB: 2048
  maximumInstanceCount: 40
  zoneRedundant: false
}
param options = {
  lockSeconds: 300
  schedules: { lowBalance: '0 * * * * *', inbox: '30 * * * * *', nightlyAudit: '0 0 2 * * *', webhooks: '15 * * * * *' }
  release: readEnvironmentVariable('PERMINUTE_RELEASE', 'unreleased')
  bootstrapAdmin: bool(readEnvironmentVariable('PERMINUTE_BOOTSTRAP_ADMIN', 'false'))
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
param keepDays = { logs: 90, anchors: 365, archive: 35, secrets: 90 }
