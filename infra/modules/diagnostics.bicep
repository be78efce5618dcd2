metadata description = 'The audit trail: access to the ledger, the secrets and the proof, and with Premium to the queue, logged in the workspace.'

@description('Workspace that keeps the logs.')
param workspaceId string

@description('Names of the ledger storage accounts.')
param ledgerStorageNames string[]

@description('Name of the proof storage account.')
param proofStorageName string

@description('Name of the Service Bus namespace.')
param namespaceName string

@description('Tier of the namespace: only Premium records who sent and received.')
param serviceBusSku string

@description('Name of the vault.')
param vaultName string

@description('Whether reads of the ledger are logged too: most of them are reads by the app.')
param auditReads bool

resource tables 'Microsoft.Storage/storageAccounts/tableServices@2024-01-01' existing = [
  for name in ledgerStorageNames: {
    name: '${name}/default'
  }
]

resource proof 'Microsoft.Storage/storageAccounts/blobServices@2024-01-01' existing = {
  name: '${proofStorageName}/default'
}

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' existing = {
  name: namespaceName
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' existing = {
  name: vaultName
}

resource ledgerTrail 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = [
  for (name, index) in ledgerStorageNames: {
    name: 'trail'
    scope: tables[index]
    properties: {
      workspaceId: workspaceId
      logs: [
        { category: 'StorageRead', enabled: auditReads }
        { category: 'StorageWrite', enabled: true }
        { category: 'StorageDelete', enabled: true }
      ]
      metrics: [{ category: 'Transaction', enabled: true }]
    }
  }
]

resource proofTrail 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'trail'
  scope: proof
  properties: {
    workspaceId: workspaceId
    logs: [
      { category: 'StorageRead', enabled: true }
      { category: 'StorageWrite', enabled: true }
      { category: 'StorageDelete', enabled: true }
    ]
    metrics: [{ category: 'Transaction', enabled: true }]
  }
}

resource busTrail 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'trail'
  scope: namespace
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [
      { category: 'OperationalLogs', enabled: true }
      { category: 'RuntimeAuditLogs', enabled: serviceBusSku == 'Premium' }
    ]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

resource vaultTrail 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'trail'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'audit', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
