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
