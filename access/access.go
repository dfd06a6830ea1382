// Package access knows who may call: it draws and checks credentials, and holds the directory of users, clients and
// keys in memory. It reads no disk and no clock; of the network it uses only what OpenID providers publish.
package access
