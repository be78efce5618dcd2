metadata description = 'Monitoring: the audit trail, the availability test, alerts, workbooks.'

import { Names } from 'names.bicep'

@description('Region.')
param location string

@description('Name of the environment.')
param environmentName string

@description('Start of every name.')
param prefix string

@description('Cost tags.')
param tags object

@description('Names of the stores.')
param names Names

@description('Host name of the app.')
param hostName string

@description('E-mail addresses that alerts go to.')
param emails string[]

@description('Whether reads of the ledger are logged too.')
param auditReads bool

@description('Tier of Service Bus.')
param serviceBusSku string

@description('Group that may open the workbook Finance; empty: none.')
param financeGroupId string

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' existing = {
  name: '${prefix}-logs'
}

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: '${prefix}-people'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'perminute'
    enabled: true
    emailReceivers: [
      for (email, index) in emails: {
        name: 'person-${index + 1}'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

module trail 'diagnostics.bicep' = {
  params: {
    workspaceId: workspace.id
    ledgerStorageNames: names.ledgers
    proofStorageName: names.proof
    namespaceName: names.bus
    serviceBusSku: serviceBusSku
    vaultName: names.vault
    auditReads: auditReads
  }
}

module availability 'availability.bicep' = {
  params: {
    location: location
    prefix: prefix
    tags: tags
    hostName: hostName
    actionGroupId: people.id
    places: ['emea-nl-ams-azr', 'emea-gb-db3-azr', 'emea-fr-pra-edge', 'us-va-ash-azr', 'apac-sg-sin-azr']
  }
}

module logAlerts 'log-alerts.bicep' = {
  params: {
    location: location
    prefix: prefix
    tags: tags
    workspaceId: workspace.id
    actionGroupId: people.id
  }
}

module metricAlerts 'metric-alerts.bicep' = {
  params: {
    prefix: prefix
    tags: tags
    namespaceName: names.bus
    queueName: names.queue
    ledgerStorageNames: names.ledgers
    actionGroupId: people.id
  }
}

module workbooks 'workbooks.bicep' = {
  params: {
    location: location
    environmentName: environmentName
    tags: tags
    workspaceId: workspace.id
    financeGroupId: financeGroupId
  }
}
