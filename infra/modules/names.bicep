metadata description = 'What things are called. A name of Azure is unique in the world, so each carries a token.'

@export()
@description('Names of what keeps something.')
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
@description('Whether a name of an environment can stand in every name that is made of it.')
func isName(name string) bool =>
  length(name) >= 2 && length(name) <= 12 && !startsWith(name, '-') && !endsWith(name, '-') && !contains(name, '--') && empty(filter(
    map(range(0, length(name)), each => substring(name, each, 1)),
    each => !contains('abcdefghijklmnopqrstuvwxyz0123456789-', each)
  ))

@export()
@description('The parts of a text with commas between.')
func partsOf(text string) string[] => map(split(text, ','), each => trim(each))

@export()
@description('Whether a text is e-mail addresses with commas between.')
func areAddresses(text string) bool => empty(filter(partsOf(text), each => !contains(each, '@') || contains(each, ' ')))

@export()
@description('Start of the names that people see.')
func prefixOf(environmentName string, token string) string => 'perminute-${environmentName}-${take(token, 6)}'

@export()
@description('Names for an environment; the first ledger keeps the directory too.')
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
@description('Tables that the first ledger account keeps besides.')
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
