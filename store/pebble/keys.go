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
	// keyOwners stands in folders whose log of changes is indexed by owner.
	keyOwners = []byte("m/owners")
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
	ownerSpace     = 'o'
	birthSpace     = 'b'
)

// space returns the bounds of the keys that begin with a letter.
func space(letter byte) (from, end []byte) { return []byte{letter, '/'}, []byte{letter, '0'} }

// nameAt is the offset of the name in the key of a record or of its derived data.
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

// appendReferenceKey appends the key which says that referrer refers to a name. A zero byte separates the two, because
// no name holds one.
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

// appendHistoryKey appends the key which says that the change of a version touched a name.
func appendHistoryKey(b []byte, name string, version uint64) []byte {
	b = append(append(b, historySpace, '/'), name...)
	return binary.BigEndian.AppendUint64(append(b, 0), version)
}

// appendOwnerKey appends the key which says that the change of a version touched something that belongs to an owner.
func appendOwnerKey(b []byte, owner string, version uint64) []byte {
	b = append(append(b, ownerSpace, '/'), owner...)
	return binary.BigEndian.AppendUint64(append(b, 0), version)
}

// appendBirthKey appends the key of the version that made the owner of a uid.
func appendBirthKey(b []byte, uid hexbid.UID) []byte {
	return binary.BigEndian.AppendUint64(append(b, birthSpace, '/'), uint64(uid))
}

// versionIn returns the version at the end of the key of a change or of a name's history.
func versionIn(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) }

// nameIn returns the name in a record's key.
func nameIn(key []byte) string { return string(key[nameAt:]) }

// kindIn returns the kind that the form of a name implies, 0 if it implies none. A string that is no valid name may get
// a kind too. That does no harm, because no record has such a name.
func kindIn(name string) hexbid.ResourceKind {
	if name == hexbid.MarketName {
		return hexbid.KindMarket
	}
	slashes := strings.Count(name, "/")
	switch isUser, isClient := strings.HasPrefix(name, "users/"), strings.HasPrefix(name, "clients/"); {
	case slashes == 1 && isUser:
		return hexbid.KindUser
	case slashes == 1 && isClient:
		return hexbid.KindClient
	case slashes == 3 && (isUser || isClient):
		return hexbid.KindKey
	}
	switch slashes {
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
