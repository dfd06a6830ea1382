package store

import "github.com/hexbid/hexbid"

// Derived is what was worked out of a record, as a campaign's covering is. It is kept
// apart from the record and may be lost; then it is worked out again. It goes when
// its record is replaced or deleted.
type Derived struct {
	UID     hexbid.UID
	Version uint64 // of the record that it was worked out of
	By      uint32 // version of the derivation
	Inputs  uint64 // fingerprint of all that it was worked out of
	Value   []byte
}

// Of says whether it was worked out of a record as that is.
func (d *Derived) Of(r *Record) bool {
	return r.Resource != nil && d.UID == r.Meta().UID && d.Version == r.Meta().Version
}
