metadata description = 'An availability test requests /api/health every five minutes from several places. Failures at two places raise an alert.'

@description('Region of Application Insights.')
param location string

@description('Start of every name.')
param prefix string

@description('Cost tags.')
param tags object

@description('Host name of the app.')
param hostName string

@description('Action group of the alerts.')
param actionGroupId string

@description('Places of the test.')
@minLength(3)
param places string[]

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: '${prefix}-insights'
}

resource probe 'Microsoft.Insights/webtests@2022-06-15' = {
  name: '${prefix}-health'
  location: location
  tags: union(tags, { 'hidden-link:${insights.id}': 'Resource' })
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
    description: 'GET /api/health fails from two places. Runbook: docs/operations.md#health. First command: curl --include https://${hostName}/api/health'
    severity: 1
    enabled: true
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    autoMitigate: true
    scopes: [probe.id, insights.id]
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.WebtestLocationAvailabilityCriteria'
      webTestId: probe.id
      componentId: insights.id
      failedLocationCount: 2
    }
    actions: [{ actionGroupId: actionGroupId }]
  }
}
