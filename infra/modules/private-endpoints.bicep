metadata description = 'The private network: each store has an endpoint in it, and a name that resolves to it.'

import { Names } from 'names.bicep'

@description('Region.')
param location string

@description('Start of every name.')
param prefix string

@description('Cost tags.')
param tags object

@description('Names of the stores.')
param names Names

@description('Address space of the network, /22 or larger.')
param addressPrefix string

@description('Tier of Service Bus: only Premium has private endpoints.')
param serviceBusSku string

var zones = {
  blob: 'privatelink.blob.${environment().suffixes.storage}'
  table: 'privatelink.table.${environment().suffixes.storage}'
  vault: 'privatelink${replace(environment().suffixes.keyvaultDns, '.vault.', '.vaultcore.')}'
  namespace: 'privatelink.servicebus.windows.net'
}

var accounts = 'Microsoft.Storage/storageAccounts'
var ledgers = map(names.ledgers, name => { name: name, part: 'table', id: resourceId(accounts, name) })
var stores = [
  { name: names.proof, part: 'blob', id: resourceId(accounts, names.proof) }
  { name: names.host, part: 'blob', id: resourceId(accounts, names.host) }
  { name: names.vault, part: 'vault', id: resourceId('Microsoft.KeyVault/vaults', names.vault) }
]
var buses = serviceBusSku == 'Premium'
  ? [{ name: names.bus, part: 'namespace', id: resourceId('Microsoft.ServiceBus/namespaces', names.bus) }]
  : []

module network 'network.bicep' = {
  params: {
    location: location
    prefix: prefix
    tags: tags
    addressPrefix: addressPrefix
    zones: map(items(zones), zone => zone.value)
  }
}

module endpoints 'private-endpoint.bicep' = [
  for target in concat(ledgers, stores, buses): {
    params: {
      location: location
      name: '${target.name}-${target.part}'
      tags: tags
      subnetId: network.outputs.endpointSubnetId
      targetId: target.id
      part: target.part
      zone: zones[target.part]
    }
  }
]

output appSubnetId string = network.outputs.appSubnetId
