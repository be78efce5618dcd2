metadata description = 'Every setting that the code and its host read, and none else. No value is a secret: the vault has those.'

import { Identity } from 'identities.bicep'

@description('Name of the function app.')
param siteName string

@description('The app\'s own identity.')
param app Identity

@description('Name of the Application Insights resource.')
param insightsName string

@description('Name of the Service Bus namespace.')
param namespaceName string

@description('Blob endpoint of the host storage.')
param hostBlobEndpoint string

@description('Table endpoints of the ledger storage: the first one keeps the directory too.')
@minLength(1)
param ledgerEndpoints string[]

@description('Where the proof goes, and as whom.')
param proof { endpoint: string, anchorContainer: string, clientId: string }

@description('Address of the vault, with its slash.')
param vaultUri string

@description('Queue, topic and the seconds of the queue\'s lock.')
param bus { queueName: string, topicName: string, lockSeconds: int }

@description('NCRONTAB expressions of the timers.')
param schedules { lowBalance: string, inbox: string, nightlyAudit: string }

@description('Release that /api/health shows.')
param release string

@description('Whether the bootstrap administrator may come in: for the first minutes only.')
param bootstrapAdmin bool

@description('Tenant and app registration whose tokens are taken; empty: none.')
param entra { tenantId: string, audience: string }

@description('Whether host and worker speak OpenTelemetry.')
param openTelemetry bool

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' existing = {
  name: namespaceName
}

resource site 'Microsoft.Web/sites@2024-04-01' existing = {
  name: siteName
}

var host = {
  APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${app.clientId};Authorization=AAD'
  AzureWebJobsStorage__blobServiceUri: hostBlobEndpoint
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: app.clientId
  ServiceBus__fullyQualifiedNamespace: split(namespace.properties.serviceBusEndpoint, '/')[2]
  ServiceBus__credential: 'managedidentity'
  ServiceBus__clientId: app.clientId
}

var code = {
  AZURE_CLIENT_ID: app.clientId
  TABLES_ENDPOINT: ledgerEndpoints[0]
  LEDGER_SHARDS: join(skip(ledgerEndpoints, 1), ' ')
  CALL_ENDED_QUEUE: bus.queueName
  CREDIT_EVENTS_TOPIC: bus.topicName
  CALL_ENDED_LOCK_SECONDS: string(bus.lockSeconds)
  LOW_BALANCE_SCHEDULE: schedules.lowBalance
  INBOX_SCHEDULE: schedules.inbox
  NIGHTLY_AUDIT_SCHEDULE: schedules.nightlyAudit
  ANCHORS_ENDPOINT: proof.endpoint
  ANCHORS_CONTAINER: proof.anchorContainer
  ANCHORS_CLIENT_ID: proof.clientId
  PERMINUTE_CHAIN_KEY: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/chain-key)'
  PERMINUTE_VERSION: release
  ENTRA_TENANT_ID: entra.tenantId
  ENTRA_AUDIENCE: entra.audience
}

var bootstrap = bootstrapAdmin
  ? { PERMINUTE_BOOTSTRAP_ADMIN_KEY: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/bootstrap-admin-key)' }
  : {}

var telemetry = openTelemetry ? { AzureFunctionsJobHost__telemetryMode: 'OpenTelemetry' } : {}

resource settings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: site
  name: 'appsettings'
  properties: union(host, code, bootstrap, telemetry)
}
