// A search client of Hexbid in Node.js: it asks, shows, and reports what was
// seen and clicked.
//
//   npm ci && node client.js [address]
'use strict'

const path = require('node:path')
const { randomUUID } = require('node:crypto')
const grpc = require('@grpc/grpc-js')
const loader = require('@grpc/proto-loader')

const proto = path.join(__dirname, '../../proto')
const contract = ['hexbid/v1/search.proto', 'hexbid/v1/event_service.proto']
const { hexbid } = grpc.loadPackageDefinition(loader.loadSync(contract, {
  includeDirs: [proto], keepCase: true, longs: String, enums: String
}))

const retry = (service, maxAttempts, initialBackoff, maxBackoff) => ({
  name: [{ service }],
  retryPolicy: {
    maxAttempts, initialBackoff, maxBackoff, backoffMultiplier: 3,
    retryableStatusCodes: ['UNAVAILABLE', 'RESOURCE_EXHAUSTED']
  }
})
// A search: one quick retry of what another replica may answer. Events: more
// patience; a retry has the same event ids.
const retries = JSON.stringify({
  methodConfig: [
    retry('hexbid.v1.SearchService', 2, '0.002s', '0.01s'), retry('hexbid.v1.EventService', 5, '0.1s', '2s')
  ]
})

const address = process.argv[2] || '127.0.0.1:7600'
const open = Service => new Service(address, grpc.credentials.createInsecure(), {
  'grpc.service_config': retries, 'grpc.keepalive_time_ms': 30000
})
const searches = open(hexbid.v1.SearchService)
const reports = open(hexbid.v1.EventService)
const client = new grpc.Metadata() // the same in searches and events: tokens are for one client
client.set('x-hexbid-client', 'example')

const event = (kind, ad) => ({ kind, token: ad.token, event_id: randomUUID() })

function end (error) {
  searches.close()
  reports.close()
  if (!error) return
  console.error(error.message)
  process.exitCode = 1
}

// Had it failed, it could send the same events again: each is recorded once.
function report (events) {
  reports.RecordEvents({ events }, client, { deadline: Date.now() + 10000 }, (error, answer) => {
    if (!error) {
      answer.results.forEach((result, i) => console.log(
        `${events[i].kind.slice('EVENT_KIND_'.length)}: ${result.outcome.slice('EVENT_OUTCOME_'.length)}`))
    }
    end(error)
  })
}

searches.SearchNearby({
  location: { latitude: 30.2553, longitude: 120.1640, datum: 'DATUM_WGS84' },
  viewer: { age: 24, gender: 'GENDER_FEMALE', operating_system: 'OPERATING_SYSTEM_IOS' },
  host: 'HOST_WECHAT',
  scene: 'SCENE_NEARBY_LIST',
  nearby_limit: 5
}, client, { deadline: Date.now() + 1000 }, (error, answer) => { // the first call connects; then 20 ms will do
  if (error) return end(error)
  for (const ad of answer.sponsored) console.log(`ad ${ad.slot}: ${ad.program.display_name} (${ad.creative.promotion})`)
  for (const near of answer.nearby) console.log(`${Math.round(near.distance_m)} m: ${near.program.display_name}`)
  if (answer.sponsored.length === 0) return end()
  // The viewer sees all ads and opens the first.
  const seen = answer.sponsored.map(ad => event('EVENT_KIND_IMPRESSION', ad))
  report([...seen, event('EVENT_KIND_CLICK', answer.sponsored[0])])
})
