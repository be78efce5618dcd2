metadata description = 'A workbook: a time and an account to choose, then charts one below the other.'

import { roles } from 'roles.bicep'

@description('Region.')
param location string

@description('Title in the portal.')
param title string

@description('Purpose in one sentence.')
param purpose string

@description('Cost tags.')
param tags object

@description('Workspace of the queries.')
param workspaceId string

@description('Group that can open the workbook; empty: none. The data needs a role on the workspace too.')
param readerGroupId string = ''

@export()
@description('A chart: a query of queries/, whose first line is its title, and how its answer is drawn.')
type Chart = {
  query: string
  shape: 'table' | 'timechart' | 'barchart'
  half: bool
}

@description('The charts in order.')
param charts Chart[]

var choices = [
  {
    id: guid(title, 'TimeRange')
    version: 'KqlParameterItem/1.0'
    name: 'TimeRange'
    label: 'Time'
    type: 4
    isRequired: true
    value: { durationMs: 2592000000 }
    typeSettings: {
      selectableValues: map([3600000, 14400000, 86400000, 604800000, 2592000000], each => { durationMs: each })
      allowCustom: true
    }
  }
  {
    id: guid(title, 'Account')
    version: 'KqlParameterItem/1.0'
    name: 'Account'
    label: 'Account (empty: all)'
    type: 1
    isRequired: false
    value: ''
  }
]

var items = map(charts, chart => {
  type: 3
  name: substring(split(chart.query, '\n')[0], 3)
  customWidth: chart.half ? '50' : '100'
  content: {
    version: 'KqlItem/1.0'
    title: substring(split(chart.query, '\n')[0], 3)
    query: chart.query
    size: 0
    queryType: 0
    resourceType: 'microsoft.operationalinsights/workspaces'
    timeContextFromParameter: 'TimeRange'
    visualization: chart.shape
    showExportToExcel: chart.shape == 'table'
    noDataMessage: 'Nothing in this time.'
  }
})

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, title)
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: title
    category: 'workbook'
    sourceId: workspaceId
    version: 'Notebook/1.0'
    serializedData: string({
      version: 'Notebook/1.0'
      items: concat(
        [
          { type: 1, name: 'purpose', content: { json: '## ${title}\n${purpose}' } }
          {
            type: 9
            name: 'choices'
            content: { version: 'KqlParameterItem/1.0', style: 'pills', queryType: 0, parameters: choices }
          }
        ],
        items
      )
      fallbackResourceIds: [workspaceId]
    })
  }
}

resource reader 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(readerGroupId)) {
  name: guid(workbook.id, 'finance', roles.workbookReader)
  scope: workbook
  properties: {
    principalId: readerGroupId
    principalType: 'Group'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.workbookReader)
  }
}
