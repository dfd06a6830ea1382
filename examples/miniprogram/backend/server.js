// The back end of the page: it holds the key, names the viewer by a pseudonym, and passes searches and events on to
// Hexbid as JSON over HTTP. It needs Node 20 and nothing else.
//
//   HEXBID=http://127.0.0.1:7602 HEXBID_KEY_FILE=key SECRET_FILE=secret PORT=8080 node server.js
//
// HEXBID_KEY_FILE has the client's key, which no answer contains. Without it, the client has a name alone. SECRET_FILE
// has the secret that sessions and pseudonyms are made with; without it they end with the process. APPS_FILE maps names
// of programs to the app ids that WeChat opens, as JSON.
'use strict'

const { createHmac, randomBytes, timingSafeEqual } = require('node:crypto')
const { readFileSync } = require('node:fs')
const http = require('node:http')

const hexbid = process.env.HEXBID || 'http://127.0.0.1:7602'
const fileOf = name => (process.env[name] ? readFileSync(process.env[name], 'utf8').trim() : '')
const key = fileOf('HEXBID_KEY_FILE')
const secret = fileOf('SECRET_FILE') || randomBytes(32)
const apps = JSON.parse(fileOf('APPS_FILE') || '{}')
const MOST_BYTES = 64 << 10

class Refusal extends Error {
  constructor (status, message) {
    super(message)
    this.status = status
  }
}

const seal = (use, text) => createHmac('sha256', secret).update(`${use}:${text}`).digest('base64url')

// A session names a viewer to this server alone: an id and its seal. In production exchange the code of wx.login for
// the viewer's openid (code2Session), and make the id from that.
const sessionOf = id => `${id}.${seal('session', id)}`

function viewerOf (request) {
  const [id, sealed] = String(request.headers['x-session'] || '').split('.')
  const want = Buffer.from(seal('session', id))
  const got = Buffer.from(sealed || '')
  if (!id || got.length !== want.length || !timingSafeEqual(got, want)) throw new Refusal(401, 'log in first')
  return seal('viewer', id) // what Hexbid knows the viewer by
}

async function bodyOf (request) {
  let text = ''
  for await (const chunk of request) {
    text += chunk
    if (text.length > MOST_BYTES) throw new Refusal(413, 'the body is too large')
  }
  try {
    return JSON.parse(text)
  } catch {
    throw new Refusal(400, 'the body is no JSON')
  }
}

async function ask (path, body, timeout) {
  const headers = { 'Content-Type': 'application/json', 'X-Hexbid-Client': 'miniprogram', 'Grpc-Timeout': timeout }
  if (key) headers.Authorization = `Bearer ${key}`
  const answer = await fetch(hexbid + path, {
    method: 'POST', headers, body: JSON.stringify(body), signal: AbortSignal.timeout(10000)
  })
  const data = await answer.json()
  if (!answer.ok) throw new Refusal(answer.status, data.message)
  return data
}

// What an advertiser pays, and which campaign won, is nothing for a page.
const shown = ({ price_micros: _, pricing_model: __, campaign: ___, ...ad }) => ad
const withApp = result => ({ ...result, app_id: apps[result.program.name] })

const routes = {
  '/session': async () => ({ session: sessionOf(randomBytes(16).toString('base64url')) }),

  '/nearby': async (body, viewer) => {
    const { latitude, longitude, accuracy_m } = body
    const found = await ask('/v1/nearby:search', {
      location: { latitude, longitude, accuracy_m, datum: 'DATUM_WGS84' },
      viewer: { user_key: viewer },
      host: 'HOST_WECHAT',
      scene: 'SCENE_NEARBY_LIST'
    }, '1S')
    return {
      sponsored: (found.sponsored || []).map(ad => withApp(shown(ad))),
      nearby: (found.nearby || []).map(withApp),
      notice: found.notice
    }
  },

  '/events': async ({ events }) => {
    const told = (Array.isArray(events) ? events : []).map(({ kind, token, event_id }) => ({ kind, token, event_id }))
    if (told.some(e => !['EVENT_KIND_IMPRESSION', 'EVENT_KIND_CLICK'].includes(e.kind))) {
      throw new Refusal(400, 'pages report impressions and clicks')
    }
    const { results } = await ask('/v1/events:record', { events: told }, '5S')
    return { outcomes: results.map(r => r.outcome) }
  }
}

async function answer (request) {
  const route = routes[request.url]
  if (!route || request.method !== 'POST') throw new Refusal(404, 'there is nothing here')
  const viewer = request.url === '/session' ? null : viewerOf(request)
  return route(await bodyOf(request), viewer)
}

const server = http.createServer({ requestTimeout: 10000, headersTimeout: 5000 }, async (request, response) => {
  let status = 200
  let data
  try {
    data = await answer(request)
  } catch (error) {
    status = error.status || 502
    data = { message: error.status ? error.message : 'Hexbid does not answer' }
    if (!error.status) console.error(error)
  }
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(data))
})

server.listen(process.env.PORT || 8080, '127.0.0.1', () => console.log(`listening on ${server.address().port}`))
