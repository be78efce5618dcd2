metadata description = 'A container with immutable blobs, written by the keeper.'

import { roles } from 'roles.bicep'

@description('Name of the storage account.')
param accountName string

@description('Name of the container.')
param name string

@description('Days for which a blob can not be changed or deleted.')
@minValue(1)
param days int

@description('Whether the policy was locked by hand. Azure then refuses every write of the policy, even an equal one.')
param policyLocked bool

@description('Principal of the keeper.')
param keeperPrincipalId string

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: accountName
  resource blobs 'blobServices' existing = {
    name: 'default'
  }
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' = {
  parent: account::blobs
  name: name
  properties: { publicAccess: 'None' }
}

// A person can lock the policy permanently: docs/operations.md.
resource unchangeable 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2024-01-01' = if (!policyLocked) {
  parent: container
  name: 'default'
  properties: {
    immutabilityPeriodSinceCreationInDays: days
    allowProtectedAppendWrites: false
  }
}

resource proofWriter 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(container.id, 'keeper', roles.proofWriter)
  scope: container
  properties: {
    principalId: keeperPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.proofWriter)
  }
}
