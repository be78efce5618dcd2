metadata description = 'A storage account without keys and public access, with TLS 1.2 and double encryption.'

@description('Region.')
param location string

@description('Name of the account.')
@maxLength(24)
param name string

@description('Cost tags.')
param tags object

@description('Copies in three zones, or in three zones and a second region.')
@allowed(['Standard_ZRS', 'Standard_GZRS', 'Standard_RAGZRS'])
param redundancy string = 'Standard_ZRS'

@description('Whether only the virtual network reaches it.')
param privateOnly bool

@description('Reason of the lock against deletion; empty: no lock.')
param lockReason string = ''

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: redundancy }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: privateOnly ? 'Disabled' : 'Enabled'
    networkAcls: {
      defaultAction: privateOnly ? 'Deny' : 'Allow'
      bypass: 'None'
    }
    encryption: {
      keySource: 'Microsoft.Storage'
      requireInfrastructureEncryption: true
    }
  }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (!empty(lockReason)) {
  name: 'stays'
  scope: account
  properties: {
    level: 'CanNotDelete'
    notes: lockReason
  }
}

output id string = account.id
output blobEndpoint string = account.properties.primaryEndpoints.blob
output tableEndpoint string = account.properties.primaryEndpoints.table
