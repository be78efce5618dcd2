metadata description = 'Alerts on metrics of Azure: dead letters, the backlog, throttled storage.'

@description('Start of every name.')
param prefix string

@description('Cost tags.')
param tags object

@description('Name of the Service Bus namespace.')
param namespaceName string

@description('Name of the queue of legs.')
param queueName string

@description('Names of the ledger storage accounts.')
param ledgerStorageNames string[]

@description('Action group of the alerts.')
param actionGroupId string

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' existing = {
  name: namespaceName
}

resource accounts 'Microsoft.Storage/storageAccounts@2024-01-01' existing = [
  for name in ledgerStorageNames: {
    name: name
  }
]

var counts = [
  {
    name: 'dead-letters'
    title: 'Legs or events are dead letters'
    metric: 'DeadletteredMessages'
    over: 0
    severity: 1
    entities: ['*']
  }
  {
    name: 'backlog'
    title: 'More than 10,000 messages wait'
    metric: 'ActiveMessages'
    over: 10000
    severity: 2
    entities: [queueName]
  }
]

resource busAlerts 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for count in counts: {
    name: '${prefix}-${count.name}'
    location: 'global'
    tags: tags
    properties: {
      description: '${count.title}. Runbook: docs/operations.md#${count.name}. First command: perminute status'
      severity: count.severity
      enabled: true
      evaluationFrequency: 'PT5M'
      windowSize: 'PT15M'
      autoMitigate: true
      scopes: [namespace.id]
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: count.name
            metricNamespace: 'Microsoft.ServiceBus/namespaces'
            metricName: count.metric
            timeAggregation: 'Average'
            operator: 'GreaterThan'
            threshold: count.over
            dimensions: [{ name: 'EntityName', operator: 'Include', values: count.entities }]
          }
        ]
      }
      actions: [{ actionGroupId: actionGroupId }]
    }
  }
]

resource throttling 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for (name, index) in ledgerStorageNames: {
    name: '${prefix}-throttling-${index}'
    location: 'global'
    tags: tags
    properties: {
      description: 'Ledger storage refuses requests because of their number. Runbook: docs/operations.md#throttling. First command: perminute status'
      severity: 2
      enabled: true
      evaluationFrequency: 'PT5M'
      windowSize: 'PT5M'
      autoMitigate: true
      scopes: [accounts[index].id]
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: 'throttling'
            metricNamespace: 'Microsoft.Storage/storageAccounts'
            metricName: 'Transactions'
            timeAggregation: 'Total'
            operator: 'GreaterThan'
            threshold: 100
            dimensions: [
              {
                name: 'ResponseType'
                operator: 'Include'
                values: [
                  'ServerBusyError'
                  'ClientThrottlingError'
                  'ClientAccountRequestThrottlingError'
                  'ServerTimeoutError'
                ]
              }
            ]
          }
        ]
      }
      actions: [{ actionGroupId: actionGroupId }]
    }
  }
]
