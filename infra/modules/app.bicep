metadata description = 'The app: plan and site, its settings, and the pipeline that may deploy to it.'

import { Identity } from 'identities.bicep'
import { Names } from 'names.bicep'
import { Options } from 'options.bicep'

@description('Region.')
param location string

@description('Start of every name.')
param prefix string

@description('Cost tags.')
param tags object

@description('Names of the stores.')
param names Names

@description('The app, and the keeper of the proof.')
param identities { app: Identity, keeper: Identity }

@description('Addresses of the stores.')
param addresses { ledgers: string[], proof: string, host: string, vault: string }

@description('How the app scales.')
param scale object

@description('Settings that differ between deployments.')
param options Options

@description('Subnet through which the app reaches private endpoints; empty: none.')
param subnetId string

@description('Subject prefix and environment whose GitHub tokens may deploy code; an empty prefix: none.')
param github { subjectPrefix: string, environment: string }

module site 'function-app.bicep' = {
  params: {
    location: location
    prefix: prefix
    tags: tags
    identityIds: [identities.app.id, identities.keeper.id]
    blobEndpoint: addresses.host
    packageContainer: names.packageContainer
    httpConcurrency: scale.httpConcurrency
    alwaysReadyHttp: scale.alwaysReadyHttp
    alwaysReadyDebits: scale.alwaysReadyDebits
    instanceMemoryMB: scale.instanceMemoryMB
    maximumInstanceCount: scale.maximumInstanceCount
    zoneRedundant: scale.zoneRedundant
    rollingUpdates: scale.rollingUpdates
    subnetId: subnetId
  }
}

module settings 'app-settings.bicep' = {
  params: {
    siteName: '${prefix}-api'
    app: identities.app
    insightsName: '${prefix}-insights'
    namespaceName: names.bus
    hostBlobEndpoint: addresses.host
    ledgerEndpoints: addresses.ledgers
    proof: {
      endpoint: addresses.proof
      anchorContainer: names.anchorContainer
      archiveContainer: names.archiveContainer
      clientId: identities.keeper.clientId
    }
    vaultUri: addresses.vault
    bus: { queueName: names.queue, topicName: names.topic }
    options: options
  }
  dependsOn: [site]
}

module deployer 'deployer.bicep' = if (!empty(github.subjectPrefix)) {
  params: {
    location: location
    prefix: prefix
    tags: tags
    siteName: '${prefix}-api'
    subjectPrefix: github.subjectPrefix
    environment: github.environment
  }
  dependsOn: [site]
}

output name string = site.outputs.name
output hostName string = site.outputs.hostName
output deployerClientId string = deployer.?outputs.clientId ?? ''
