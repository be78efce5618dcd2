metadata description = 'Who acts: the app on its own data, the keeper on the proof.'

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

// Writes anchors and the archive, and nothing else: who steals the app's rights on the ledger can
// not rewrite what proves it.
resource keeper 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${prefix}-keeper'
  location: location
  tags: tags
}

@description('What other modules need of an identity.')
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
