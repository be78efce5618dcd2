metadata description = 'The stores: ledgers, proof, packages, messages, secrets.'

import { Identity } from 'identities.bicep'
import { directoryTables, Names, shardTables } from 'names.bicep'

@description('Region of the app and the ledger.')
param location string

@description('Region of the proof.')
param proofLocation string

@description('Names of the stores.')
param names Names

@description('Cost tags.')
param tags object

@description('Copies of the ledger.')
param ledgerRedundancy ('Standard_ZRS' | 'Standard_GZRS' | 'Standard_RAGZRS')

@description('Whether ledger and proof are locked against deletion.')
param lockData bool

@description('Whether the policy of the anchors was locked.')
param anchorsLocked bool

@description('Whether only the virtual network reaches the stores.')
param privateOnly bool

@description('Tier of Service Bus.')
param serviceBusSku ('Standard' | 'Premium')

@description('Seconds of the queue\'s lock.')
param lockSeconds int

@description('Retention in days: immutable anchors, accepted legs, deleted secrets.')
param keepDays { anchors: int, archive: int, secrets: int, *: int }

@description('Subscriptions of the topic.')
param subscriptions { name: string, filter: string }[]

@description('The app, and the keeper of the proof.')
param identities { app: Identity, keeper: Identity }

@description('Principal that writes secrets into the vault. Empty id: none; assign a role by hand.')
param operator { id: string, type: 'User' | 'ServicePrincipal' | 'Group' }

@description('Group that may read ledgers; empty: none.')
param financeGroupId string

module ledgerRole 'ledger-role.bicep' = {}

module ledgers 'ledger-storage.bicep' = [
  for (name, index) in names.ledgers: {
    params: {
      location: location
      name: name
      tags: tags
      redundancy: ledgerRedundancy
      tables: index == 0 ? concat(shardTables, directoryTables) : shardTables
      privateOnly: privateOnly
      locked: lockData
      appPrincipalId: identities.app.principalId
      ledgerWriterId: ledgerRole.outputs.id
      financeGroupId: financeGroupId
    }
  }
]

module proof 'proof-storage.bicep' = {
  params: {
    location: proofLocation
    name: names.proof
    tags: tags
    privateOnly: privateOnly
    locked: lockData
    anchors: { container: names.anchorContainer, days: keepDays.anchors, policyLocked: anchorsLocked }
    archive: { container: names.archiveContainer, days: keepDays.archive, policyLocked: false }
    keeperPrincipalId: identities.keeper.principalId
  }
}

module hostStorage 'host-storage.bicep' = {
  params: {
    location: location
    name: names.host
    tags: tags
    privateOnly: privateOnly
    packageContainer: names.packageContainer
    appPrincipalId: identities.app.principalId
  }
}

module bus 'service-bus.bicep' = {
  params: {
    location: location
    name: names.bus
    tags: tags
    sku: serviceBusSku
    privateOnly: privateOnly
    queueName: names.queue
    lockSeconds: lockSeconds
    topicName: names.topic
    subscriptions: subscriptions
    appPrincipalId: identities.app.principalId
  }
}

module vault 'vault.bicep' = {
  params: {
    location: location
    name: names.vault
    tags: tags
    privateOnly: privateOnly
    softDeleteDays: keepDays.secrets
    purgeProtected: lockData
    operator: operator
    appPrincipalId: identities.app.principalId
  }
}

output ledgerEndpoints string[] = [for (name, index) in names.ledgers: ledgers[index].outputs.tableEndpoint]
output proofBlobEndpoint string = proof.outputs.blobEndpoint
output hostBlobEndpoint string = hostStorage.outputs.blobEndpoint
output vaultUri string = vault.outputs.uri
