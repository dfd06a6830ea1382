package pebble

import (
	"encoding/binary"
	"strings"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

var (
	keyFormat    = []byte("m/format")
	keyCurrency  = []byte("m/currency")
	keyClock     = []byte("m/clock")
	keyLosses    = []byte("m/losses")
	keyBringOver = []byte("m/bringover")
)

// Every space of keys begins with a letter and '/', and ends before the letter and '0'.
const (
	recordSpace    = 'r'
	uidSpace       = 'u'
	verdictSpace   = 'v'
	derivedSpace   = 'd'
	referenceSpace = 'x'
	counterSpace   = 'n'
	changeSpace    = 'c'
	historySpace   = 'h'
)

// space is the bounds of the keys of a letter.
func space(letter byte) (from, end []byte) { return []byte{letter, '/'}, []byte{letter, '0'} }

// nameAt is where the name begins in the key of a record or of what is derived from it.
const nameAt = 3

func appendRecordKey(b []byte, kind hexbid.ResourceKind, name string) []byte {
	return append(append(b, recordSpace, '/', byte(kind)), name...)
}

func recordKey(kind hexbid.ResourceKind, name string) []byte {
	return appendRecordKey(make([]byte, 0, nameAt+len(name)), kind, name)
}

func appendDerivedKey(b []byte, kind hexbid.ResourceKind, name string) []byte {
	return append(append(b, derivedSpace, '/', byte(kind)), name...)
}

func appendUIDKey(b []byte, uid hexbid.UID) []byte {
	return binary.BigEndian.AppendUint64(append(b, uidSpace, '/'), uint64(uid))
}

func uidKey(uid hexbid.UID) []byte { return appendUIDKey(nil, uid) }

func appendVerdictKey(b []byte, name string) []byte {
	return append(append(b, verdictSpace, '/'), name...)
}

func verdictKey(name string) []byte { return appendVerdictKey(nil, name) }

// appendReferenceKey says that referrer refers to a name. No name holds a zero byte.
func appendReferenceKey(b []byte, name, referrer string) []byte {
	b = append(append(b, referenceSpace, '/'), name...)
	return append(append(b, 0), referrer...)
}

func appendCounterKey(b []byte, owner string, counter store.Counter) []byte {
	b = append(append(b, counterSpace, '/'), owner...)
	return append(b, 0, byte(counter))
}

func appendChangeKey(b []byte, version uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, changeSpace, '/'), version)
}

func changeKey(version uint64) []byte { return appendChangeKey(nil, version) }

// appendHistoryKey says that the change of a version is about a name.
func appendHistoryKey(b []byte, name string, version uint64) []byte {
	b = append(append(b, historySpace, '/'), name...)
	return binary.BigEndian.AppendUint64(append(b, 0), version)
}

// versionIn is the version at the end of the key of a change or of a name's history.
func versionIn(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) }

// nameIn is the name in a record's key.
func nameIn(key []byte) string { return string(key[nameAt:]) }

// kindIn is the kind that a name has by its form; 0 where it has none. What is no
// name may have a kind too: no record stands under it.
func kindIn(name string) hexbid.ResourceKind {
	switch strings.Count(name, "/") {
	case 1:
		return hexbid.KindAdvertiser
	case 3:
		if strings.Contains(name, "/campaigns/") {
			return hexbid.KindCampaign
		}
		return hexbid.KindProgram
	case 5:
		return hexbid.KindPlace
	}
	return 0
}
