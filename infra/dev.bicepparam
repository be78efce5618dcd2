using 'main.bicep'

// Cheap and quick to delete: no always-ready instance, no lock, one region.
param environmentName = 'dev'
param location = 'westeurope'
param proofLocation = 'northeurope'
param costTags = { costCenter: 'telephony-dev', owner: 'perminute@example.com' }
param alertEmails = ['perminute@example.com']
param ledgerRedundancy = 'Standard_ZRS'
param lockData = false
param logsDailyCapGb = 1
param scale = {
  httpConcurrency: 40
  alwaysReadyHttp: 0
  alwaysReadyDebits: 0
  instanceMemoryMB: 2048
  maximumInstanceCount: 5
  zoneRedundant: false
  rollingUpdates: false
}
param options = {
  lockSeconds: 300
  schedules: { lowBalance: '0 * * * * *', inbox: '30 * * * * *', nightlyAudit: '0 0 2 * * *', webhooks: '15 * * * * *' }
  bootstrapAdmin: true
  openTelemetry: true
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
param keepDays = { logs: 30, anchors: 1, archive: 35, secrets: 7 }
