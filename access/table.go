package access

import (
	"hash/maphash"
	"maps"
)

// tableShards divides a table, so that a change copies a small part of it.
const tableShards = 256

// table is an immutable map. An edit of a copy leaves the original as it is.
type table[K comparable, V any] struct {
	seed   maphash.Seed
	shards [tableShards]map[K]V
}

func newTable[K comparable, V any]() table[K, V] { return table[K, V]{seed: maphash.MakeSeed()} }

func (t *table[K, V]) shardOf(key K) int {
	return int(maphash.Comparable(t.seed, key) % tableShards)
}

func (t *table[K, V]) get(key K) V { return t.shards[t.shardOf(key)][key] }

// edit changes a table that is not published yet. It copies each shard once.
type edit[K comparable, V any] struct {
	table[K, V]
	own [tableShards]bool
}

func (e *edit[K, V]) shard(key K) map[K]V {
	i := e.shardOf(key)
	if !e.own[i] {
		e.shards[i], e.own[i] = maps.Clone(e.shards[i]), true
		if e.shards[i] == nil {
			e.shards[i] = map[K]V{}
		}
	}
	return e.shards[i]
}

func (e *edit[K, V]) set(key K, value V) { e.shard(key)[key] = value }

func (e *edit[K, V]) remove(key K) { delete(e.shard(key), key) }
