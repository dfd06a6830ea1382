// The address of your back end (backend/server.js), which WeChat must know as a request domain.
App({ globalData: { backend: 'https://nearby.example.com' } })
