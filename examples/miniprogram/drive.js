// drive.js runs the page with a stand-in for wx, against a real back end, and says what the page did. Time passes when
// the script says so.
//
//   node drive.js http://127.0.0.1:8080
'use strict'

const assert = require('node:assert')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const vm = require('node:vm')

const backend = process.argv[2]

// clock is the page's time, in milliseconds.
const clock = { now: 0, timers: new Map(), next: 1 }
const setTimer = (call, ms) => {
  clock.timers.set(clock.next, { at: clock.now + ms, call })
  return clock.next++
}
const pass = ms => {
  clock.now += ms
  for (const [id, timer] of [...clock.timers]) {
    if (timer.at <= clock.now && clock.timers.delete(id)) timer.call()
  }
}

const storage = {}
const opened = []
const answers = [] // of events, as the back end gave them
let failures = 0 // requests of events that get lost
let under = [] // requests under way
let observed = null

const wx = {
  getStorageSync: name => storage[name],
  setStorageSync: (name, value) => { storage[name] = value },
  login: ({ success }) => success({ code: 'a code' }),
  getFuzzyLocation: ({ success }) => success({ latitude: 30.2553, longitude: 120.164 }),
  navigateToMiniProgram: to => opened.push(to),
  createIntersectionObserver: (page, { thresholds, observeAll }) => {
    assert(observeAll && thresholds.includes(0.5))
    const observer = {
      relativeToViewport: () => observer,
      observe: (selector, call) => { observed = { selector, call } },
      disconnect: () => { observed = null }
    }
    return observer
  },
  request ({ url, method, data, header, success, fail }) {
    const isReport = url.endsWith('/events')
    if (isReport && failures > 0) {
      failures--
      answers.push('lost')
      return fail({ errMsg: 'request:fail' })
    }
    under.push(fetch(url, { method, body: JSON.stringify(data), headers: header }).then(async r => {
      const body = await r.json()
      if (isReport) answers.push(...(body.outcomes || [r.status]))
      success({ statusCode: r.status, data: body })
    }))
  }
}
const settle = async () => {
  while (under.length > 0) {
    const now = under
    under = []
    await Promise.all(now)
    await new Promise(resolve => setImmediate(resolve))
  }
}

let page
const world = {
  wx, getApp: () => ({ globalData: { backend } }), Page: of => { page = of }, setTimeout: setTimer,
  clearTimeout: id => clock.timers.delete(id), Math, Promise, Set, Array, Object, String
}
vm.runInNewContext(readFileSync(path.join(__dirname, 'pages/nearby/nearby.js'), 'utf8'), world)
page.setData = function (data, then) {
  Object.assign(this.data, data)
  if (then) then()
}

const move = (ad, ratio) => observed.call({ dataset: { ad }, intersectionRatio: ratio })
const kinds = () => answers.map(a => String(a).replace('EVENT_OUTCOME_', ''))

async function main () {
  const loaded = page.onLoad()
  while (page.data.sponsored.length === 0 && !page.data.notice) {
    await settle()
    await new Promise(resolve => setImmediate(resolve))
  }
  await loaded
  const { sponsored, nearby } = page.data
  assert.strictEqual(sponsored.length, 3, page.data.notice)
  assert(nearby.length > 5 && /^\d+ m$/.test(nearby[0].distance))
  assert(sponsored.every(ad => ad.token && ad.creative.title && !('price_micros' in ad) && !('campaign' in ad)))
  assert.strictEqual(observed.selector, '.ad')

  move(0, 0.6) // half of it, for a second
  move(1, 0.4) // less than half
  move(2, 0.9) // half of it, but not for a second
  pass(999)
  await settle()
  assert.deepStrictEqual(answers, [])
  move(2, 0.1)
  pass(1)
  await settle()
  assert.strictEqual(kinds().length, 1)
  move(0, 0)
  move(0, 1) // seen already
  pass(5000)
  await settle()
  assert.strictEqual(kinds().length, 1)

  move(1, 0.7)
  page.onHide() // a page that is hidden shows nothing
  pass(5000)
  await settle()
  assert.strictEqual(kinds().length, 1)
  page.onShow()
  failures = 2 // the network loses two reports; the third arrives
  move(1, 0.7)
  pass(1000)
  await settle()
  pass(1000)
  await settle()
  pass(2000)
  await settle()
  assert.deepStrictEqual(kinds().slice(1, 3), ['lost', 'lost'])

  page.openAd({ currentTarget: { dataset: { ad: 0 } } })
  page.openAd({ currentTarget: { dataset: { ad: 0 } } })
  await settle()
  page.openPlace({ currentTarget: { dataset: { place: 0 } } })
  page.onUnload()
  assert.strictEqual(clock.timers.size, 0)
  console.log(kinds().join(' '))
  console.log(`opened ${opened.length}, the first at ${opened[0].path}`)
}

main().catch(error => {
  console.error(error)
  process.exit(1)
})
