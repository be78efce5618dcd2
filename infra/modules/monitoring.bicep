metadata description = 'Logs and telemetry: one workspace, and Application Insights in front of it.'

import { roles } from 'roles.bicep'

@description('Region.')
param location string

@description('Start of every name.')
param prefix string

@description('Cost tags.')
param tags object

@description('Days that logs are kept. They are a view; the ledger is the record.')
@minValue(30)
@maxValue(730)
param retentionDays int

@description('Daily cap in gigabytes; -1: no cap.')
param dailyCapGb int

@description('Principal of the app.')
param appPrincipalId string

@description('Group of the people who read the workbooks; empty: none.')
param financeGroupId string

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: '${prefix}-logs'
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
    workspaceCapping: { dailyQuotaGb: dailyCapGb }
    features: {
      disableLocalAuth: true
      enableLogAccessUsingOnlyResourcePermissions: true
    }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: '${prefix}-insights'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    IngestionMode: 'LogAnalytics'
    DisableLocalAuth: true
  }
}

resource telemetryWriter 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, 'app', roles.telemetryWriter)
  scope: insights
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.telemetryWriter)
  }
}

resource telemetryReader 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(financeGroupId)) {
  name: guid(workspace.id, 'finance', roles.telemetryReader)
  scope: workspace
  properties: {
    principalId: financeGroupId
    principalType: 'Group'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.telemetryReader)
  }
}
