metadata description = 'Names of resources. Many names are unique in all of Azure, so each contains a token.'

@export()
@description('Names of the stores.')
type Names = {
  ledgers: string[]
  proof: string
  host: string
  bus: string
  vault: string
  queue: string
  topic: string
  packageContainer: string
  anchorContainer: string
  archiveContainer: string
}

@export()
@description('Whether the name of an environment is valid in every name that contains it.')
func isName(name string) bool =>
  length(name) >= 2 && length(name) <= 12 && !startsWith(name, '-') && !endsWith(name, '-') && !contains(name, '--') && empty(filter(
    map(range(0, length(name)), each => substring(name, each, 1)),
    each => !contains('abcdefghijklmnopqrstuvwxyz0123456789-', each)
  ))

@export()
@description('The parts of a text that is separated by commas.')
func partsOf(text string) string[] => map(split(text, ','), each => trim(each))

@export()
@description('Whether a text is e-mail addresses, separated by commas.')
func areAddresses(text string) bool => empty(filter(partsOf(text), each => !contains(each, '@') || contains(each, ' ')))

@export()
@description('Start of the names that people see.')
func prefixOf(environmentName string, token string) string => 'perminute-${environmentName}-${take(token, 6)}'

@export()
@description('Names for an environment; the first ledger account also contains the directory.')
func namesOf(environmentName string, token string, ledgerShards int) Names => {
  ledgers: map(range(0, ledgerShards), shard => 'pmledger${shard}${token}')
  proof: 'pmproof${token}'
  host: 'pmhost${token}'
  bus: '${prefixOf(environmentName, token)}-bus'
  vault: 'pmvault${token}'
  queue: 'call-ended'
  topic: 'credit-events'
  packageContainer: 'packages'
  anchorContainer: 'anchors'
  archiveContainer: 'accepted-legs'
}

@export()
@description('Tables of every ledger account.')
var shardTables = ['ledger', 'holds']

@export()
@description('Additional tables of the first ledger account.')
var directoryTables = [
  'backlog'
  'calls'
  'deliveries'
  'deliverydue'
  'directory'
  'due'
  'inbox'
  'legs'
  'notices'
  'parked'
  'ratecards'
]
