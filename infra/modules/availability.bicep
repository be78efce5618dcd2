metadata description = 'Somebody outside asks /api/health every five minutes; two places that get no answer raise an alert.'

@description('Region of Application Insights.')
param location string

@description('Start of every name.')
param prefix string

@description('Cost tags.')
param tags object

@description('Application Insights that keeps the results.')
param insightsId string

@description('Host name of the app.')
param hostName string

@description('Action group that is told.')
param actionGroupId string

@description('Places that ask.')
@minLength(3)
param places string[]

resource probe 'Microsoft.Insights/webtests@2022-06-15' = {
  name: '${prefix}-health'
  location: location
  tags: union(tags, { 'hidden-link:${insightsId}': 'Resource' })
  kind: 'standard'
  properties: {
    Name: 'health'
    SyntheticMonitorId: '${prefix}-health'
    Kind: 'standard'
    Enabled: true
    Frequency: 300
    Timeout: 30
    RetryEnabled: true
    Locations: [for place in places: { Id: place }]
    Request: {
      RequestUrl: 'https://${hostName}/api/health'
      HttpVerb: 'GET'
      FollowRedirects: false
      ParseDependentRequests: false
    }
    ValidationRules: {
      ExpectedHttpStatusCode: 200
      SSLCheck: true
      SSLCertRemainingLifetimeCheck: 7
    }
  }
}

resource alert 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: '${prefix}-not-available'
  location: 'global'
  tags: tags
  properties: {
    description: 'GET /api/health fails from two places: docs/operations.md#health'
    severity: 1
    enabled: true
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    autoMitigate: true
    scopes: [probe.id, insightsId]
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.WebtestLocationAvailabilityCriteria'
      webTestId: probe.id
      componentId: insightsId
      failedLocationCount: 2
    }
    actions: [{ actionGroupId: actionGroupId }]
  }
}
