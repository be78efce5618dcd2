metadata description = 'Storage of the Functions host: the deployed package and the locks of timers. It contains no ledger.'

import { roles } from 'roles.bicep'

@description('Region.')
param location string

@description('Name of the account.')
@maxLength(24)
param name string

@description('Cost tags.')
param tags object

@description('Whether only the virtual network reaches it.')
param privateOnly bool

@description('Container of the deployed packages.')
param packageContainer string

@description('Principal of the app: its host keeps the locks of its timers here, and reads the package.')
param appPrincipalId string

module account 'storage-account.bicep' = {
  params: {
    location: location
    name: name
    tags: tags
    privateOnly: privateOnly
  }
}

resource made 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: name
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2024-01-01' = {
  parent: made
  name: 'default'
  properties: {
    deleteRetentionPolicy: { enabled: true, days: 7 }
  }
  dependsOn: [account]
}

resource packages 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' = {
  parent: blobs
  name: packageContainer
  properties: { publicAccess: 'None' }
}

resource hostStorageOwner 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(made.id, 'app', roles.hostStorageOwner)
  scope: made
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.hostStorageOwner)
  }
  dependsOn: [account]
}

output id string = account.outputs.id
output blobEndpoint string = account.outputs.blobEndpoint
