metadata description = 'Settings that differ between deployments.'

@export()
@description('Settings that differ between deployments. The lock is the lock of the queue; schedules are NCRONTAB expressions.')
type Options = {
  lockSeconds: int
  schedules: { lowBalance: string, inbox: string, nightlyAudit: string, webhooks: string }
  @description('Whether the bootstrap administrator is enabled: for the first deployment only.')
  bootstrapAdmin: bool
  @description('Whether telemetry is OpenTelemetry instead of the format of Application Insights.')
  openTelemetry: bool
  @description('Tenant and app registration of accepted tokens; empty: none.')
  entra: { tenantId: string, audience: string }
  @description('Mail server and sender of alerts; an empty host: none is sent.')
  mail: { host: string, port: int, security: 'starttls' | 'tls', username: string, from: string }
}
