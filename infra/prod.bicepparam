using 'main.bicep'

// A dial-out never waits for a cold start, the ledger has copies in a second region, and only the
// virtual network reaches what keeps something.
param environmentName = 'prod'
param location = 'westeurope'
param proofLocation = 'northeurope'
param costTags = { costCenter: 'telephony', owner: 'perminute@example.com' }
param alertEmails = ['perminute-oncall@example.com', 'telephony-finance@example.com']
param ledgerShards = 3
param ledgerRedundancy = 'Standard_GZRS'
param lockData = true
param privateNetworking = true
param serviceBusSku = 'Premium'
param auditReads = true
param financeGroupId = readEnvironmentVariable('FINANCE_GROUP_ID', '')
param github = {
  repository: readEnvironmentVariable('GITHUB_REPOSITORY', '')
  environment: 'production'
}
param subscriptions = [
  { name: 'finance', filter: '' }
  { name: 'payments', filter: 'type LIKE \'recharge.%\'' }
]
param scale = {
  httpConcurrency: 40
  alwaysReadyHttp: 2
  alwaysReadyDebits: 2
  instanceMemoryMB: 2048
  maximumInstanceCount: 100
  zoneRedundant: true
}
param options = {
  lockSeconds: 300
  schedules: { lowBalance: '0 * * * * *', inbox: '30 * * * * *', nightlyAudit: '0 0 2 * * *', webhooks: '15 * * * * *' }
  release: readEnvironmentVariable('PERMINUTE_RELEASE', 'unreleased')
  bootstrapAdmin: false
  openTelemetry: false
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
