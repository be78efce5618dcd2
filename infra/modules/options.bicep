metadata description = 'What differs between deployments, and becomes a setting.'

@export()
@description('What differs between deployments. The lock is the queue\'s own; schedules are NCRONTAB expressions.')
type Options = {
  lockSeconds: int
  schedules: { lowBalance: string, inbox: string, nightlyAudit: string, webhooks: string }
  @description('Whether the bootstrap administrator may come in: for the first minutes only.')
  bootstrapAdmin: bool
  @description('Whether telemetry is OpenTelemetry instead of Application Insights\' own.')
  openTelemetry: bool
  @description('Tenant and app registration whose tokens are taken; empty: none.')
  entra: { tenantId: string, audience: string }
  @description('Mail server and sender of alerts; an empty host: none is sent.')
  mail: { host: string, port: int, security: 'starttls' | 'tls', username: string, from: string }
}
