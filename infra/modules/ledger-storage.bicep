metadata description = 'Storage of ledgers: one shard. Azure can not restore a deleted table, so the account is locked.'

import { roles } from 'roles.bicep'

@description('Region.')
param location string

@description('Name of the account.')
@maxLength(24)
param name string

@description('Cost tags.')
param tags object

@description('Copies in three zones, or in three zones and a second region.')
@allowed(['Standard_ZRS', 'Standard_GZRS', 'Standard_RAGZRS'])
param redundancy string

@description('Tables of the account. The app can not create or drop a table.')
param tables string[]

@description('Whether only the virtual network reaches it.')
param privateOnly bool

@description('Whether a lock prevents its deletion.')
param locked bool

@description('Principal of the app.')
param appPrincipalId string

@description('Id of the role that writes rows and nothing else.')
param ledgerWriterId string

@description('Group of the people who may read ledgers; empty: none.')
param financeGroupId string

module account 'storage-account.bicep' = {
  params: {
    location: location
    name: name
    tags: tags
    redundancy: redundancy
    privateOnly: privateOnly
    lockReason: locked ? 'Deleted tables can not be restored: docs/operations.md' : ''
  }
}

resource made 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: name
}

resource tableService 'Microsoft.Storage/storageAccounts/tableServices@2024-01-01' = {
  parent: made
  name: 'default'
  dependsOn: [account]
}

resource kept 'Microsoft.Storage/storageAccounts/tableServices/tables@2024-01-01' = [
  for table in tables: {
    parent: tableService
    name: table
  }
]

// The built-in contributor role could drop tables too.
resource ledgerWriter 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(made.id, 'app', 'ledger-writer')
  scope: made
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: ledgerWriterId
  }
  dependsOn: [account]
}

resource ledgerTable 'Microsoft.Storage/storageAccounts/tableServices/tables@2024-01-01' existing = {
  parent: tableService
  name: 'ledger'
}

// The ledger only: no one but the app reads the directory.
resource ledgerReader 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(financeGroupId)) {
  name: guid(ledgerTable.id, 'finance', roles.ledgerReader)
  scope: ledgerTable
  properties: {
    principalId: financeGroupId
    principalType: 'Group'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.ledgerReader)
  }
  dependsOn: [kept]
}

output id string = account.outputs.id
output tableEndpoint string = account.outputs.tableEndpoint
