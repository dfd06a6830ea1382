// A search client of Hexbid in Node.js.
//
//   npm ci && node client.js [address]
'use strict'

const path = require('node:path')
const grpc = require('@grpc/grpc-js')
const loader = require('@grpc/proto-loader')

const proto = path.join(__dirname, '../../proto')
const { hexbid } = grpc.loadPackageDefinition(loader.loadSync('hexbid/v1/search.proto', {
  includeDirs: [proto], keepCase: true, longs: String, enums: String
}))

// One quick retry of what another replica may answer.
const retries = JSON.stringify({
  methodConfig: [{
    name: [{ service: 'hexbid.v1.SearchService' }],
    retryPolicy: {
      maxAttempts: 2, initialBackoff: '0.002s', maxBackoff: '0.01s', backoffMultiplier: 2,
      retryableStatusCodes: ['UNAVAILABLE', 'RESOURCE_EXHAUSTED']
    }
  }]
})

const address = process.argv[2] || '127.0.0.1:7600'
const client = new hexbid.v1.SearchService(address, grpc.credentials.createInsecure(), {
  'grpc.service_config': retries, 'grpc.keepalive_time_ms': 30000
})

client.SearchNearby({
  location: { latitude: 30.2553, longitude: 120.1640, datum: 'DATUM_WGS84' },
  viewer: { age: 24, gender: 'GENDER_FEMALE', operating_system: 'OPERATING_SYSTEM_IOS' },
  host: 'HOST_WECHAT',
  scene: 'SCENE_NEARBY_LIST',
  nearby_limit: 5
}, { deadline: Date.now() + 1000 }, (error, answer) => { // the first call connects; then 20 ms will do
  client.close()
  if (error) {
    console.error(error.message)
    process.exitCode = 1
    return
  }
  for (const ad of answer.sponsored) console.log(`ad ${ad.slot}: ${ad.program.display_name} (${ad.creative.promotion})`)
  for (const near of answer.nearby) console.log(`${Math.round(near.distance_m)} m: ${near.program.display_name}`)
})
