metadata description = 'The vault of the secrets: read by the app through references, written by people.'

import { roles } from 'roles.bicep'

@description('Region.')
param location string

@description('Name of the vault.')
@maxLength(24)
param name string

@description('Cost tags.')
param tags object

@description('Whether only the virtual network reaches it.')
param privateOnly bool

@description('Days for which a deleted vault or secret can be brought back.')
@minValue(7)
@maxValue(90)
param softDeleteDays int

@description('Whether purge protection is on. It can not be turned off again.')
param purgeProtected bool

@description('Principal that writes secrets. Empty id: none.')
param operator { id: string, type: 'User' | 'ServicePrincipal' | 'Group' }

@description('Principal of the app, which resolves references.')
param appPrincipalId string

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: softDeleteDays
    enablePurgeProtection: purgeProtected ? true : null
    enabledForDeployment: false
    enabledForDiskEncryption: false
    enabledForTemplateDeployment: false
    publicNetworkAccess: privateOnly ? 'Disabled' : 'Enabled'
    networkAcls: {
      defaultAction: privateOnly ? 'Deny' : 'Allow'
      bypass: 'AzureServices'
    }
  }
}

resource secretReader 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, 'app', roles.secretReader)
  scope: vault
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.secretReader)
  }
}

resource secretWriter 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(operator.id)) {
  name: guid(vault.id, 'operator', operator.id, roles.secretWriter)
  scope: vault
  properties: {
    principalId: operator.id
    principalType: operator.type
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.secretWriter)
  }
}

output id string = vault.id
output name string = vault.name
output uri string = vault.properties.vaultUri
