metadata description = 'One service, reached from the virtual network only.'

@description('Region of the virtual network.')
param location string

@description('Name of the endpoint.')
param name string

@description('Cost tags.')
param tags object

@description('Subnet of private endpoints.')
param subnetId string

@description('Resource that is reached.')
param targetId string

@description('Part of it: blob, table, vault, namespace.')
@allowed(['blob', 'table', 'vault', 'namespace'])
param part string

@description('Private DNS zone of that part, from the network module.')
param zone string

resource dnsZone 'Microsoft.Network/privateDnsZones@2024-06-01' existing = {
  name: zone
}

resource endpoint 'Microsoft.Network/privateEndpoints@2024-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    privateLinkServiceConnections: [
      {
        name: part
        properties: {
          privateLinkServiceId: targetId
          groupIds: [part]
        }
      }
    ]
  }
}

resource names 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = {
  parent: endpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: part
        properties: { privateDnsZoneId: dnsZone.id }
      }
    ]
  }
}
