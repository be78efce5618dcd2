metadata description = 'Service Bus: a namespace without keys, the queue of ended legs, the topic of credit events.'

@description('Region.')
param location string

@description('Name of the namespace.')
param name string

@description('Cost tags.')
param tags object

@description('Standard, or Premium for a private endpoint.')
@allowed(['Standard', 'Premium'])
param sku string

@description('Whether only the virtual network reaches it; needs Premium.')
param privateOnly bool

@description('Name of the queue.')
param queueName string

@description('Seconds of the queue\'s lock.')
param lockSeconds int

@description('Name of the topic.')
param topicName string

@description('Subscriptions of the topic.')
param subscriptions { name: string, filter: string }[]

@description('Principal of the app.')
param appPrincipalId string

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: sku
    tier: sku
    capacity: sku == 'Premium' ? 1 : null
  }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
    publicNetworkAccess: privateOnly && sku == 'Premium' ? 'Disabled' : 'Enabled'
  }
}

module queue 'call-ended-queue.bicep' = {
  params: {
    namespaceName: namespace.name
    queueName: queueName
    lockSeconds: lockSeconds
    appPrincipalId: appPrincipalId
  }
}

module topic 'credit-events-topic.bicep' = {
  params: {
    namespaceName: namespace.name
    topicName: topicName
    subscriptions: subscriptions
    appPrincipalId: appPrincipalId
  }
}
