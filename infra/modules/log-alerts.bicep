metadata description = 'Alerts on log events. The queries are in queries/alerts/, and tests execute them.'

@description('Region of the workspace.')
param location string

@description('Start of every name.')
param prefix string

@description('Cost tags.')
param tags object

@description('Workspace of the queries.')
param workspaceId string

@description('Action group of the alerts.')
param actionGroupId string

@description('An alert is raised when the `value` of its query over the window exceeds the threshold. `command` is the first command of its section in the runbook.')
type Alert = { name: string, over: int, severity: 0 | 1 | 2 | 3, window: string, command: string }

var alerts Alert[] = [
  { name: 'failures', over: 0, severity: 2, window: 'PT5M', command: 'perminute status' }
  { name: 'dial-out-latency', over: 500, severity: 2, window: 'PT15M', command: 'perminute status' }
  { name: 'parked-legs', over: 0, severity: 2, window: 'PT1H', command: 'perminute parked list' }
  { name: 'backlog-age', over: 900, severity: 2, window: 'PT30M', command: 'perminute status' }
  { name: 'timer-missing', over: 0, severity: 1, window: 'PT15M', command: 'perminute status' }
  { name: 'outbox-age', over: 600, severity: 2, window: 'PT15M', command: 'perminute status' }
  { name: 'archive-failed', over: 0, severity: 2, window: 'PT15M', command: 'perminute status' }
  { name: 'anchor-missing', over: 0, severity: 1, window: 'P2D', command: 'perminute verify --account ACCOUNT' }
  { name: 'verification-failed', over: 0, severity: 0, window: 'PT5M', command: 'perminute verify --account ACCOUNT' }
  { name: 'negative-balances', over: 0, severity: 3, window: 'PT1H', command: 'perminute accounts list' }
  { name: 'queue-unreachable', over: 0, severity: 1, window: 'PT5M', command: 'perminute status' }
  { name: 'unauthorized', over: 100, severity: 3, window: 'PT15M', command: 'perminute bridges list' }
]

// The first line of a query is its title.
var queries = {
  failures: loadTextContent('../queries/alerts/failures.kql')
  'dial-out-latency': loadTextContent('../queries/alerts/dial-out-latency.kql')
  'parked-legs': loadTextContent('../queries/alerts/parked-legs.kql')
  'backlog-age': loadTextContent('../queries/alerts/backlog-age.kql')
  'timer-missing': loadTextContent('../queries/alerts/timer-missing.kql')
  'outbox-age': loadTextContent('../queries/alerts/outbox-age.kql')
  'archive-failed': loadTextContent('../queries/alerts/archive-failed.kql')
  'anchor-missing': loadTextContent('../queries/alerts/anchor-missing.kql')
  'verification-failed': loadTextContent('../queries/alerts/verification-failed.kql')
  'negative-balances': loadTextContent('../queries/alerts/negative-balances.kql')
  'queue-unreachable': loadTextContent('../queries/alerts/queue-unreachable.kql')
  unauthorized: loadTextContent('../queries/alerts/unauthorized.kql')
}

var everyForWindow = { PT5M: 'PT5M', PT15M: 'PT5M', PT30M: 'PT5M', PT1H: 'PT15M', P2D: 'PT1H' }

resource rules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for alert in alerts: {
    name: '${prefix}-${alert.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: substring(split(queries[alert.name], '\n')[0], 3)
      description: 'Runbook: docs/operations.md#${alert.name}. First command: ${alert.command}'
      severity: alert.severity
      enabled: true
      scopes: [workspaceId]
      evaluationFrequency: everyForWindow[alert.window]
      windowSize: alert.window
      autoMitigate: true
      // A table does not exist before its first record.
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: queries[alert.name]
            timeAggregation: 'Maximum'
            metricMeasureColumn: 'value'
            operator: 'GreaterThan'
            threshold: alert.over
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: [actionGroupId] }
    }
  }
]
