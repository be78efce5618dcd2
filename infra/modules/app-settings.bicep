metadata description = 'All settings that the code and its host read. No value is a secret: secrets are in the vault.'

import { Identity } from 'identities.bicep'
import { Options } from 'options.bicep'

@description('Name of the function app.')
param siteName string

@description('The identity of the app.')
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

@description('Storage of the proof, and the identity that writes it.')
param proof { endpoint: string, anchorContainer: string, archiveContainer: string, clientId: string }

@description('Address of the vault, with its slash.')
param vaultUri string

@description('Queue and topic.')
param bus { queueName: string, topicName: string }

@description('Settings that differ between deployments.')
param options Options

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
  // The root of the address leads to the console.
  AzureWebJobsDisableHomepage: 'true'
}

var code = {
  AZURE_CLIENT_ID: app.clientId
  TABLES_ENDPOINT: ledgerEndpoints[0]
  LEDGER_SHARDS: join(skip(ledgerEndpoints, 1), ' ')
  CALL_ENDED_QUEUE: bus.queueName
  CREDIT_EVENTS_TOPIC: bus.topicName
  CALL_ENDED_LOCK_SECONDS: string(options.lockSeconds)
  LOW_BALANCE_SCHEDULE: options.schedules.lowBalance
  INBOX_SCHEDULE: options.schedules.inbox
  NIGHTLY_AUDIT_SCHEDULE: options.schedules.nightlyAudit
  WEBHOOK_SCHEDULE: options.schedules.webhooks
  ANCHORS_ENDPOINT: proof.endpoint
  ANCHORS_CONTAINER: proof.anchorContainer
  ANCHORS_CLIENT_ID: proof.clientId
  ARCHIVE_ENDPOINT: proof.endpoint
  ARCHIVE_CONTAINER: proof.archiveContainer
  ARCHIVE_CLIENT_ID: proof.clientId
  PERMINUTE_ARCHIVE_KEY: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/archive-key)'
  PERMINUTE_SECRETS_KEY: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/secrets-key)'
  PERMINUTE_PROOF_KEY: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/proof-key)'
  PERMINUTE_CHAIN_KEY: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/chain-key)'
  ENTRA_TENANT_ID: options.entra.tenantId
  ENTRA_AUDIENCE: options.entra.audience
  SMTP_HOST: options.mail.host
  SMTP_PORT: string(options.mail.port)
  SMTP_SECURITY: options.mail.security
  SMTP_USERNAME: options.mail.username
  SMTP_FROM: options.mail.from
}

var bootstrap = options.bootstrapAdmin
  ? { PERMINUTE_BOOTSTRAP_ADMIN_KEY: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/bootstrap-admin-key)' }
  : {}

var telemetry = options.openTelemetry ? { AzureFunctionsJobHost__telemetryMode: 'OpenTelemetry' } : {}

var mailPassword = empty(options.mail.username)
  ? {}
  : { SMTP_PASSWORD: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/smtp-password)' }

resource settings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: site
  name: 'appsettings'
  properties: union(host, code, bootstrap, mailPassword, telemetry)
}
