metadata description = 'Assigned roles by name. The module of a resource assigns its roles, each to one identity.'

@export()
@description('Ids of built-in roles.')
var roles = {
  hostStorageOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b' // Storage Blob Data Owner
  proofWriter: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe' // Storage Blob Data Contributor
  ledgerReader: '76199698-9eea-4c19-bc75-cec21354c6b6' // Storage Table Data Reader
  queueOwner: '090c5cfd-751d-490a-894a-3ce6f1109419' // Azure Service Bus Data Owner
  queueSender: '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39' // Azure Service Bus Data Sender
  secretReader: '4633458b-17de-408a-b874-0445c86b69e6' // Key Vault Secrets User
  telemetryWriter: '3913510d-42f4-4e42-8a64-420c390055eb' // Monitoring Metrics Publisher
  telemetryReader: '43d0d8ad-25c7-4714-9337-8ba259a9fe05' // Monitoring Reader
  workbookReader: 'b279062a-9be3-42a0-92ae-8b3cf002ec4d' // Workbook Reader
  secretWriter: 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7' // Key Vault Secrets Officer
  reader: 'acdd72a7-3385-48ef-bd42-f606fba81ae7' // Reader
  codeDeployer: 'de139f84-1756-47ae-9be6-808fbbe84772' // Website Contributor
}
