metadata description = 'The topic of credit events with its subscriptions. The app sends events, and receives the events for webhooks.'

import { roles } from 'roles.bicep'

@description('Name of the namespace.')
param namespaceName string

@description('Name of the topic.')
param topicName string

@description('Subscriptions of the topic: name and SQL filter; an empty filter takes all.')
param subscriptions { name: string, filter: string }[]

@description('Principal of the app.')
param appPrincipalId string

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' existing = {
  name: namespaceName
}

resource topic 'Microsoft.ServiceBus/namespaces/topics@2024-01-01' = {
  parent: namespace
  name: topicName
  properties: {
    requiresDuplicateDetection: true
    duplicateDetectionHistoryTimeWindow: 'PT1H'
    defaultMessageTimeToLive: 'P14D'
    supportOrdering: true
    maxSizeInMegabytes: 5120
  }
}

// Events for customers' webhooks: an event that can not be stored becomes a dead letter.
resource webhooks 'Microsoft.ServiceBus/namespaces/topics/subscriptions@2024-01-01' = {
  parent: topic
  name: 'webhooks'
  properties: {
    lockDuration: 'PT5M'
    maxDeliveryCount: 50
    deadLetteringOnMessageExpiration: true
  }
}

resource listeners 'Microsoft.ServiceBus/namespaces/topics/subscriptions@2024-01-01' = [
  for subscription in subscriptions: {
    parent: topic
    name: subscription.name
    properties: {
      lockDuration: 'PT1M'
      maxDeliveryCount: 20
      deadLetteringOnMessageExpiration: false
    }
  }
]

resource filters 'Microsoft.ServiceBus/namespaces/topics/subscriptions/rules@2024-01-01' = [
  for (subscription, index) in subscriptions: {
    parent: listeners[index]
    name: '$Default'
    properties: {
      filterType: 'SqlFilter'
      sqlFilter: { sqlExpression: empty(subscription.filter) ? '1=1' : subscription.filter }
    }
  }
]

resource topicSender 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(topic.id, 'app', roles.queueSender)
  scope: topic
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.queueSender)
  }
}

// Scaling by backlog needs the right to manage the subscription (call-ended-queue.bicep).
resource webhookOwner 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(webhooks.id, 'app', roles.queueOwner)
  scope: webhooks
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.queueOwner)
  }
}
