package pebble

import "github.com/cockroachdb/pebble/v2"

var earlierFormats = []string{}

// bringOver gives a new folder its format and currency.
func (s *Store) bringOver(currency string) error {
	format, err := s.read(keyFormat)
	if err != nil || string(format) == Format {
		return err
	}
	batch := s.db.NewBatch()
	_ = batch.Set(keyFormat, []byte(Format), nil) // a batch in memory takes every Set
	_ = batch.Set(keyCurrency, []byte(currency), nil)
	if err := s.write(batch, pebble.Sync); err != nil {
		return err
	}
	// The log that Pebble begins a new folder with does not say what was synced;
	// the next one does.
	if err := s.db.Flush(); err != nil {
		return s.unreadable(err)
	}
	return nil
}
