package pebble

// Checkpoint copies the catalogue into a folder that is not there yet, with a witness beside it, while commits go on.
// The copy holds every commit up to the version that it returns, and perhaps later ones. A store that opens the copy
// gives out no version and no uid that this one gives out meanwhile, for far longer than any restore takes.
func (s *Store) Checkpoint(dir string) (version uint64, err error) {
	v := s.look()
	if v == nil {
		return 0, errClosed
	}
	defer v.release() // the store stays open until then
	said := s.witness.beyond()
	return said.acknowledged, s.folder.Checkpoint(dir, said.encode())
}

// beyond returns what the witness of a copy says: leases far above all that this store may give out.
func (w *witness) beyond() testimony {
	w.mu.Lock()
	defer w.mu.Unlock()
	return testimony{acknowledged: w.said.acknowledged, versions: w.said.versions + unknownLeaseGap,
		uids: w.said.uids + unknownLeaseGap}
}
