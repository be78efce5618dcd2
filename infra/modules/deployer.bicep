metadata description = 'The pipeline: a GitHub environment that may deploy code to the app by OIDC, without a secret.'

import { roles } from 'roles.bicep'

@description('Region.')
param location string

@description('Start of every name.')
param prefix string

@description('Cost tags.')
param tags object

@description('Name of the function app.')
param siteName string

@description('Prefix of the subject in GitHub\'s tokens, before the environment: repo:owner@id/name@id.')
param subjectPrefix string

@description('GitHub environment, whose approval a deployment needs.')
param environment string

resource deployer 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${prefix}-deployer'
  location: location
  tags: tags
}

resource federation 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = {
  parent: deployer
  name: 'github-${environment}'
  properties: {
    issuer: 'https://token.actions.githubusercontent.com'
    subject: '${subjectPrefix}:environment:${environment}'
    audiences: ['api://AzureADTokenExchange']
  }
}

resource site 'Microsoft.Web/sites@2024-04-01' existing = {
  name: siteName
}

resource codeDeployer 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(site.id, 'deployer', roles.codeDeployer)
  scope: site
  properties: {
    principalId: deployer.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.codeDeployer)
  }
}

// The CLI reads the plan before a deployment. Without the right it retries for a minute.
resource plan 'Microsoft.Web/serverfarms@2024-04-01' existing = {
  name: '${prefix}-plan'
}

resource planReader 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(plan.id, 'deployer', roles.reader)
  scope: plan
  properties: {
    principalId: deployer.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.reader)
  }
}

output clientId string = deployer.properties.clientId
