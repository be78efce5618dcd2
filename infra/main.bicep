metadata description = 'Perminute in one subscription, with its monitoring. docs/operations.md has the steps.'

targetScope = 'subscription'

import { namesOf, prefixOf } from 'modules/names.bicep'
import { Options } from 'modules/options.bicep'

@description('Short name of the environment, part of every name: 2 to 12 of a-z, 0-9 and - inside.')
@minLength(2)
@maxLength(12)
param environmentName string

@description('Region of the app and the ledger.')
param location string

@description('Region of anchors and accepted legs. It differs from the region of the ledger, so that both are not lost together.')
param proofLocation string

@description('Cost center and owner: tags of every resource.')
param costTags { costCenter: string, owner: string }

@description('E-mail addresses that alerts go to.')
@minLength(1)
param alertEmails string[]

@description('Ledger storage accounts. An account keeps the one of its creation permanently: add accounts, never remove one.')
@minValue(1)
@maxValue(16)
param ledgerShards int = 1

@description('Copies of the ledger: three zones, or three zones and a second region.')
param ledgerRedundancy ('Standard_ZRS' | 'Standard_GZRS' | 'Standard_RAGZRS') = 'Standard_GZRS'

@description('Whether ledger and proof are locked against deletion.')
param lockData bool = true

@description('Whether the policy of the anchors is locked (docs/operations.md). The template does not write a locked policy.')
param anchorsLocked bool = false

@description('Whether storage and vault are reached from a virtual network only.')
param privateNetworking bool = false

@description('Address space of that network, /22 or larger.')
param networkAddressPrefix string = '10.20.0.0/22'

@description('Standard; Premium is needed for a private endpoint of Service Bus.')
param serviceBusSku ('Standard' | 'Premium') = 'Standard'

@description('How the app scales; docs/configuration.md explains each number.')
param scale {
  httpConcurrency: int
  alwaysReadyHttp: int
  alwaysReadyDebits: int
  instanceMemoryMB: 512 | 2048 | 4096
  maximumInstanceCount: int
  zoneRedundant: bool
  rollingUpdates: bool
}

@description('Settings that differ between deployments. The lock is the lock of the queue, in seconds.')
param options Options

@description('Retention in days: logs, immutable anchors, accepted legs, deleted secrets.')
param keepDays { logs: int, anchors: int, archive: int, secrets: int }

@description('Daily cap of the logs in gigabytes; -1: no cap.')
param logsDailyCapGb int = -1

@description('Whether reads of the ledger are logged too.')
param auditReads bool = false

@description('Subscriptions for readers of credit events: name and SQL filter; an empty filter takes all events. A subscription without a reader fills up.')
param subscriptions { name: string, filter: string }[] = []

@description('Group that may read ledgers and workbooks; empty: none.')
param financeGroupId string = ''

@description('Principal that writes the secrets into the vault; azd sets the person who runs it. Empty id: none.')
param operator { id: string, type: 'User' | 'ServicePrincipal' | 'Group' } = { id: '', type: 'User' }

@description('Subject prefix and environment whose GitHub tokens may deploy code; an empty prefix: none.')
param github { subjectPrefix: string, environment: string } = { subjectPrefix: '', environment: '' }

var token = uniqueString(subscription().id, environmentName, location)
var prefix = prefixOf(environmentName, token)
var names = namesOf(environmentName, token, ledgerShards)
var tags = union(costTags, { 'azd-env-name': environmentName, application: 'perminute' })

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'perminute-${environmentName}'
  location: location
  tags: tags
}

module identities 'modules/identities.bicep' = {
  scope: group
  params: { location: location, prefix: prefix, tags: tags }
}

module monitoring 'modules/monitoring.bicep' = {
  scope: group
  params: {
    location: location
    prefix: prefix
    tags: tags
    retentionDays: keepDays.logs
    dailyCapGb: logsDailyCapGb
    appPrincipalId: identities.outputs.app.principalId
    financeGroupId: financeGroupId
  }
}

module data 'modules/data.bicep' = {
  scope: group
  params: {
    location: location
    proofLocation: proofLocation
    names: names
    tags: tags
    ledgerRedundancy: ledgerRedundancy
    lockData: lockData
    anchorsLocked: anchorsLocked
    operator: operator
    privateOnly: privateNetworking
    serviceBusSku: serviceBusSku
    lockSeconds: options.lockSeconds
    keepDays: keepDays
    subscriptions: subscriptions
    identities: { app: identities.outputs.app, keeper: identities.outputs.keeper }
    financeGroupId: financeGroupId
  }
}

module privateEndpoints 'modules/private-endpoints.bicep' = if (privateNetworking) {
  scope: group
  params: {
    location: location
    prefix: prefix
    tags: tags
    names: names
    addressPrefix: networkAddressPrefix
    serviceBusSku: serviceBusSku
  }
  dependsOn: [data]
}

module app 'modules/app.bicep' = {
  scope: group
  params: {
    location: location
    prefix: prefix
    tags: tags
    names: names
    identities: { app: identities.outputs.app, keeper: identities.outputs.keeper }
    addresses: {
      ledgers: data.outputs.ledgerEndpoints
      proof: data.outputs.proofBlobEndpoint
      host: data.outputs.hostBlobEndpoint
      vault: data.outputs.vaultUri
    }
    scale: scale
    options: options
    subnetId: privateEndpoints.?outputs.appSubnetId ?? ''
    github: github
  }
  dependsOn: [monitoring]
}

module watch 'modules/watch.bicep' = {
  scope: group
  params: {
    location: location
    environmentName: environmentName
    prefix: prefix
    tags: tags
    names: names
    hostName: app.outputs.hostName
    emails: alertEmails
    auditReads: auditReads
    serviceBusSku: serviceBusSku
    financeGroupId: financeGroupId
  }
  dependsOn: [monitoring]
}

output AZURE_RESOURCE_GROUP string = group.name
output FUNCTION_APP_NAME string = app.outputs.name
output PERMINUTE_URL string = 'https://${app.outputs.hostName}'
output KEY_VAULT_NAME string = names.vault
output LEDGER_STORAGE_NAMES string = join(names.ledgers, ' ')
output PROOF_STORAGE_NAME string = names.proof
output DEPLOYER_CLIENT_ID string = app.outputs.deployerClientId
