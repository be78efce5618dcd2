metadata description = 'The app in the Flex Consumption plan. app-settings.bicep has its settings.'

@description('Region.')
param location string

@description('Start of every name.')
param prefix string

@description('Cost tags.')
param tags object

@description('Resource ids of the identities that the app can use; the first one is the identity of the app.')
param identityIds string[]

@description('Blob endpoint of the host storage.')
param blobEndpoint string

@description('Container of the deployed packages.')
param packageContainer string

@description('Requests that one instance answers at the same time.')
@minValue(1)
@maxValue(1000)
param httpConcurrency int

@description('Always-ready instances for HTTP: a dial-out must not wait for a cold start.')
@minValue(0)
param alwaysReadyHttp int

@description('Always-ready instances for the queue.')
@minValue(0)
param alwaysReadyDebits int

@description('Memory of an instance in megabytes.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int

@description('Highest number of instances of each function group.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int

@description('Whether instances are spread over zones; needs two or more always-ready instances.')
param zoneRedundant bool

@description('Whether a release replaces instances in batches and lets running executions finish (preview).')
param rollingUpdates bool

@description('Subnet through which the app reaches private endpoints; empty: none.')
param subnetId string

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: '${prefix}-plan'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource site 'Microsoft.Web/sites@2024-04-01' = {
  name: '${prefix}-api'
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: toObject(identityIds, id => id, id => {})
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    publicNetworkAccess: 'Enabled'
    keyVaultReferenceIdentity: identityIds[0]
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: { minTlsVersion: '1.2', scmMinTlsVersion: '1.2', http20Enabled: true }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${blobEndpoint}${packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityIds[0]
          }
        }
      }
      runtime: { name: 'python', version: '3.13' }
      #disable-next-line BCP037 // Bicep's types don't know it yet.
      siteUpdateStrategy: { type: rollingUpdates ? 'RollingUpdate' : 'Recreate' }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: filter(
          [
            { name: 'http', instanceCount: alwaysReadyHttp }
            { name: 'function:rate_and_debit', instanceCount: alwaysReadyDebits }
          ],
          group => group.instanceCount > 0
        )
        triggers: { http: { perInstanceConcurrency: httpConcurrency } }
      }
    }
  }
}

resource noPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: site
  name: 'scm'
  properties: { allow: false }
}

resource noFtpPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: site
  name: 'ftp'
  properties: { allow: false }
}

output id string = site.id
output name string = site.name
output hostName string = site.properties.defaultHostName
