package store

import "github.com/hexbid/hexbid"

// Derived is data computed from a record, such as a campaign's covering. It is stored apart from the record and may be
// lost; then it is computed again. The engine deletes it when its record is replaced or deleted.
type Derived struct {
	UID     hexbid.UID
	Version uint64 // of the record that it was computed from
	By      uint32 // version of the derivation
	Inputs  uint64 // fingerprint of everything that the derivation read
	Value   []byte
}

// Of reports whether the data was computed from a record in its present version.
func (d *Derived) Of(r *Record) bool {
	return r.Resource != nil && d.UID == r.Meta().UID && d.Version == r.Meta().Version
}
