metadata description = 'The queue of ended legs, and the app that sends to it and receives from it.'

import { roles } from 'roles.bicep'

@description('Name of the namespace.')
param namespaceName string

@description('Name of the queue.')
param queueName string

@description('Lock of a batch in seconds, also a setting of the app. It is longer than functionTimeout of host.json.')
@minValue(271)
@maxValue(300)
param lockSeconds int

@description('Principal of the app.')
param appPrincipalId string

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' existing = {
  name: namespaceName
}

// No message is lost: a message that is too old or failed too often becomes a dead letter, which
// raises an alert.
resource queue 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = {
  parent: namespace
  name: queueName
  properties: {
    lockDuration: 'PT${lockSeconds}S'
    maxDeliveryCount: 50
    requiresDuplicateDetection: true
    duplicateDetectionHistoryTimeWindow: 'PT1H'
    defaultMessageTimeToLive: 'P14D'
    deadLetteringOnMessageExpiration: true
    requiresSession: false
    maxSizeInMegabytes: 5120
  }
}

// The counts of a queue, by which the platform scales its function and /api/v1/status reports, need
// the right to manage it. Owner is the one role that has it, and it sends and receives too.
resource queueOwner 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(queue.id, 'app', roles.queueOwner)
  scope: queue
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.queueOwner)
  }
}
