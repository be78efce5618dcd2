using 'main.bicep'

import { areAddresses, partsOf } from 'modules/names.bicep'

// Variables without a default are required, so that no alert is deployed without a recipient.
// A dial-out never waits for a cold start, the ledger has copies in a second region, and only the
// virtual network reaches the stores.
var emails = readEnvironmentVariable('PERMINUTE_ALERT_EMAILS')
param environmentName = 'prod'
param location = 'westeurope'
param proofLocation = 'northeurope'
param costTags = {
  costCenter: readEnvironmentVariable('PERMINUTE_COST_CENTER', 'telephony')
  owner: readEnvironmentVariable('PERMINUTE_OWNER')
}
param alertEmails = areAddresses(emails)
  ? partsOf(emails)
  : fail('PERMINUTE_ALERT_EMAILS: e-mail addresses, commas between')
param ledgerShards = 3
param ledgerRedundancy = 'Standard_GZRS'
param lockData = true
param anchorsLocked = bool(readEnvironmentVariable('PERMINUTE_ANCHORS_LOCKED', 'false'))
param privateNetworking = true
param serviceBusSku = 'Premium'
param auditReads = true
param financeGroupId = readEnvironmentVariable('FINANCE_GROUP_ID', '')
param github = {
  subjectPrefix: readEnvironmentVariable('GITHUB_SUBJECT_PREFIX', '')
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
  rollingUpdates: true
}
param options = {
  lockSeconds: 300
  schedules: { lowBalance: '0 * * * * *', inbox: '30 * * * * *', nightlyAudit: '0 0 2 * * *', webhooks: '15 * * * * *' }
  bootstrapAdmin: bool(readEnvironmentVariable('PERMINUTE_BOOTSTRAP_ADMIN', 'false'))
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
