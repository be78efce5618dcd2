metadata description = 'The workbooks Finance and Operations. Their queries are in queries/, and tests execute them.'

@description('Region.')
param location string

@description('Name of the environment, in the titles.')
param environmentName string

@description('Cost tags.')
param tags object

@description('Workspace of the queries.')
param workspaceId string

@description('Group that may open the workbook Finance; empty: none.')
param financeGroupId string

module finance 'workbook.bicep' = {
  params: {
    location: location
    title: 'Perminute: Finance (${environmentName})'
    purpose: 'Spending by organizer, destination and meeting; remaining credits and their forecast. The ledger is the record, and this workbook is a view of the logs of at most 90 days. For older days, whole months and exact sums use GET /api/v1/accounts/{account}/usage, or Usage in the console.'
    tags: tags
    workspaceId: workspaceId
    readerGroupId: financeGroupId
    charts: [
      { query: loadTextContent('../queries/finance/credits-and-forecast.kql'), shape: 'table', half: false }
      { query: loadTextContent('../queries/finance/spend-by-day.kql'), shape: 'timechart', half: false }
      { query: loadTextContent('../queries/finance/spend-by-destination.kql'), shape: 'table', half: true }
      { query: loadTextContent('../queries/finance/spend-by-organizer.kql'), shape: 'table', half: true }
      { query: loadTextContent('../queries/finance/spend-by-cost-center.kql'), shape: 'barchart', half: true }
      { query: loadTextContent('../queries/finance/top-meetings.kql'), shape: 'table', half: true }
      { query: loadTextContent('../queries/finance/top-ups-and-corrections.kql'), shape: 'table', half: true }
      { query: loadTextContent('../queries/finance/credit-events.kql'), shape: 'table', half: true }
      { query: loadTextContent('../queries/finance/denied-dial-outs.kql'), shape: 'table', half: true }
      { query: loadTextContent('../queries/finance/parked-legs.kql'), shape: 'table', half: true }
    ]
  }
}

module operations 'workbook.bicep' = {
  params: {
    location: location
    title: 'Perminute: Operations (${environmentName})'
    purpose: 'Problems first; then availability, latency, backlogs, failures, and writers of the ledgers.'
    tags: tags
    workspaceId: workspaceId
    charts: [
      { query: loadTextContent('../queries/operations/status.kql'), shape: 'table', half: false }
      { query: loadTextContent('../queries/operations/availability.kql'), shape: 'timechart', half: true }
      { query: loadTextContent('../queries/operations/dial-out-latency.kql'), shape: 'timechart', half: true }
      { query: loadTextContent('../queries/operations/requests.kql'), shape: 'table', half: false }
      { query: loadTextContent('../queries/operations/legs.kql'), shape: 'timechart', half: true }
      { query: loadTextContent('../queries/operations/queue-age.kql'), shape: 'timechart', half: true }
      { query: loadTextContent('../queries/operations/queue-depth.kql'), shape: 'timechart', half: true }
      { query: loadTextContent('../queries/operations/storage-latency.kql'), shape: 'timechart', half: true }
      { query: loadTextContent('../queries/operations/timers.kql'), shape: 'table', half: true }
      { query: loadTextContent('../queries/operations/verification.kql'), shape: 'table', half: true }
      { query: loadTextContent('../queries/operations/unexpected-errors.kql'), shape: 'table', half: true }
      { query: loadTextContent('../queries/operations/failed-invocations.kql'), shape: 'table', half: true }
      { query: loadTextContent('../queries/operations/commit-conflicts.kql'), shape: 'table', half: true }
      { query: loadTextContent('../queries/operations/unauthorized.kql'), shape: 'table', half: true }
      { query: loadTextContent('../queries/operations/who-wrote-ledgers.kql'), shape: 'table', half: false }
    ]
  }
}
