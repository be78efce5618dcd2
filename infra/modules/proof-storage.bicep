metadata description = 'The proof, which survives the loss of the ledger and its region: immutable anchors, and accepted legs for 35 days.'

@description('Region: another one than the ledger\'s.')
param location string

@description('Name of the account.')
@maxLength(24)
param name string

@description('Cost tags.')
param tags object

@description('Whether only the virtual network reaches it.')
param privateOnly bool

@description('Whether a lock prevents its deletion.')
param locked bool

@description('Container of the anchors, their retention in days, and whether its policy is locked.')
param anchors { container: string, days: int, policyLocked: bool }

@description('Container of the accepted legs, and the days for which they are kept.')
param archive { container: string, days: int, policyLocked: bool }

@description('Principal of the keeper.')
param keeperPrincipalId string

module account 'storage-account.bicep' = {
  params: {
    location: location
    name: name
    tags: tags
    privateOnly: privateOnly
    lockReason: locked ? 'Holds what proves the ledgers, and what rebuilds them.' : ''
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
    containerDeleteRetentionPolicy: { enabled: true, days: 7 }
  }
  dependsOn: [account]
}

module containers 'proof-container.bicep' = [
  for kept in [anchors, archive]: {
    params: {
      accountName: name
      name: kept.container
      days: kept.days
      policyLocked: kept.policyLocked
      keeperPrincipalId: keeperPrincipalId
    }
    dependsOn: [blobs]
  }
]

resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2024-01-01' = {
  parent: made
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'accepted-legs-expire'
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: ['blockBlob']
              prefixMatch: ['${archive.container}/']
            }
            actions: { baseBlob: { delete: { daysAfterCreationGreaterThan: archive.days } } }
          }
        }
      ]
    }
  }
  dependsOn: [blobs]
}

output id string = account.outputs.id
output blobEndpoint string = account.outputs.blobEndpoint
