package store

// Tamper changes a byte of the change of a version in the log of a Memory.
func Tamper(m *Memory, version uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.log.entries {
		if e := &m.log.entries[i]; e.Version == version {
			e.record[len(e.record)/2] ^= 1
		}
	}
}
