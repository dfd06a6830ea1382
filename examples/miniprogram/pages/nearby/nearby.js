// A page of a WeChat mini-program that shows what is nearby, and reports which ads were seen and opened. It talks to
// its own back end alone, which holds the key.

const { backend } = getApp().globalData

// An ad is seen when at least half of it was on the screen for a second.
const SEEN_SHARE = 0.5
const SEEN_MS = 1000

// wx.getFuzzyLocation moves the point on purpose, and tells no figure. This is what the server is told.
const FUZZY_M = 1000

// A report is sent again, under the same id, until it is answered: after 1, 2, 4, ... seconds.
const MOST_TRIES = 6

const post = (path, data) => new Promise((resolve, reject) => wx.request({
  url: backend + path,
  method: 'POST',
  data,
  timeout: 5000,
  header: { 'X-Session': wx.getStorageSync('session') },
  success: r => (r.statusCode === 200 ? resolve(r.data) : reject(r)),
  fail: reject
}))

const eventId = () => Array.from({ length: 4 }, () => Math.random().toString(36).slice(2, 10)).join('')

const distanceText = m => (m < 1000 ? `${Math.round(m)} m` : `${(m / 1000).toFixed(1)} km`)

Page({
  data: { sponsored: [], nearby: [], notice: '' },

  onLoad () {
    this.timers = {} // of ads that are on the screen, by index
    this.seen = new Set() // indexes of ads that were reported as seen
    return this.load()
  },

  async load () {
    try {
      await this.enter()
      const at = await this.locate()
      const found = await post('/nearby', { latitude: at.latitude, longitude: at.longitude, accuracy_m: FUZZY_M })
      const nearby = (found.nearby || []).map(n => ({ ...n, distance: distanceText(n.distance_m || 0) }))
      this.setData({ sponsored: found.sponsored || [], nearby, notice: found.notice || '' }, () => this.watch())
    } catch (error) {
      this.setData({ notice: 'Nothing can be shown right now.' })
    }
  },

  // enter gets a session from the back end, once.
  async enter () {
    if (wx.getStorageSync('session')) return
    const { code } = await new Promise((resolve, reject) => wx.login({ success: resolve, fail: reject }))
    wx.setStorageSync('session', (await post('/session', { code })).session)
  },

  locate: () => new Promise((resolve, reject) =>
    wx.getFuzzyLocation({ type: 'wgs84', success: resolve, fail: reject })),

  // watch follows how much of each ad is on the screen.
  watch () {
    this.unwatch()
    if (this.data.sponsored.length === 0) return
    this.observer = wx.createIntersectionObserver(this, { thresholds: [0, SEEN_SHARE], observeAll: true })
    this.observer.relativeToViewport().observe('.ad', at => this.moved(at.dataset.ad, at.intersectionRatio))
  },

  // unwatch stops it: what is not watched is not seen.
  unwatch () {
    if (this.observer) this.observer.disconnect()
    this.observer = null
    Object.keys(this.timers).forEach(index => this.leave(index))
  },

  moved (index, share) {
    if (share < SEEN_SHARE) return this.leave(index)
    if (this.seen.has(index) || this.timers[index]) return
    this.timers[index] = setTimeout(() => {
      this.leave(index)
      this.seen.add(index)
      this.report('EVENT_KIND_IMPRESSION', this.data.sponsored[index].token)
    }, SEEN_MS)
  },

  leave (index) {
    clearTimeout(this.timers[index])
    delete this.timers[index]
  },

  openAd (tap) {
    const ad = this.data.sponsored[tap.currentTarget.dataset.ad]
    if (!ad.clicked) this.report('EVENT_KIND_CLICK', ad.token)
    ad.clicked = true
    wx.navigateToMiniProgram({ appId: ad.app_id, path: ad.creative.path })
  },

  openPlace (tap) {
    const { program, app_id: appId } = this.data.nearby[tap.currentTarget.dataset.place]
    wx.navigateToMiniProgram({ appId, path: program.path })
  },

  report (kind, token, id = eventId(), tries = 1) {
    post('/events', { events: [{ kind, token, event_id: id }] }).catch(refused => {
      const wrong = refused.statusCode >= 400 && refused.statusCode < 500 && refused.statusCode !== 429
      if (wrong || tries >= MOST_TRIES) return
      setTimeout(() => this.report(kind, token, id, tries + 1), 1000 * 2 ** (tries - 1))
    })
  },

  onShow () { if (this.timers) this.watch() },
  onHide () { this.unwatch() },
  onUnload () { this.unwatch() }
})
