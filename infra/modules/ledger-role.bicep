metadata description = 'The role of the app on ledger storage: it reads and writes rows, and can not create or drop a table.'

@description('Rights on rows. The app deletes published events, used marks and released holds.')
var dataActions = [
  'Microsoft.Storage/storageAccounts/tableServices/tables/entities/read'
  'Microsoft.Storage/storageAccounts/tableServices/tables/entities/write'
  'Microsoft.Storage/storageAccounts/tableServices/tables/entities/delete'
  'Microsoft.Storage/storageAccounts/tableServices/tables/entities/add/action'
  'Microsoft.Storage/storageAccounts/tableServices/tables/entities/update/action'
]

resource ledgerWriter 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, 'ledger-writer')
  properties: {
    // Names of roles are unique in a tenant, resource groups only in a subscription.
    roleName: 'Perminute ledger writer (${resourceGroup().name} ${take(uniqueString(resourceGroup().id), 6)})'
    description: 'Reads and writes rows of the tables that are there.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: dataActions
        notDataActions: []
      }
    ]
  }
}

output id string = ledgerWriter.id
