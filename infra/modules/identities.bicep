metadata description = 'Identities: the app for its data, the keeper for the proof.'

@description('Region of the identities.')
param location string

@description('Start of every name.')
param prefix string

@description('Cost tags.')
param tags object

resource app 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${prefix}-app'
  location: location
  tags: tags
}

// The keeper writes anchors and the archive only. Stolen rights of the app on the ledger do not
// include the proof.
resource keeper 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${prefix}-keeper'
  location: location
  tags: tags
}

@description('Values of an identity that other modules need.')
@export()
type Identity = {
  id: string
  clientId: string
  principalId: string
}

output app Identity = {
  id: app.id
  clientId: app.properties.clientId
  principalId: app.properties.principalId
}

output keeper Identity = {
  id: keeper.id
  clientId: keeper.properties.clientId
  principalId: keeper.properties.principalId
}
