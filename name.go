package hexbid

import (
	"fmt"
	"strings"
)

// UID identifies a resource for ever. Unlike a name, a uid is never used again.
type UID uint64

// ResourceKind tells the kinds of resource apart.
type ResourceKind uint8

// The kinds of resource. A kind may refer only to kinds above it. The first four are the catalogue, which searches see.
// The next three are identities, which say who may call. The last is the market, of which there is one.
const (
	KindAdvertiser ResourceKind = iota + 1
	KindProgram
	KindPlace
	KindCampaign
	KindUser
	KindClient
	KindKey
	KindMarket
	KindEnd // one above the last kind
)

var kindNames = [KindEnd]string{"resource", "advertiser", "program", "place", "campaign", "user", "client", "key",
	"market"}

// String returns the kind's singular name.
func (k ResourceKind) String() string {
	if k >= KindEnd {
		return kindNames[0]
	}
	return kindNames[k]
}

// IsIdentity reports whether resources of the kind say who may call, and are not part of the catalogue.
func (k ResourceKind) IsIdentity() bool { return k >= KindUser && k <= KindKey }

// HasParent reports whether resources of the kind have a parent.
func (k ResourceKind) HasParent() bool {
	return k != KindAdvertiser && k != KindUser && k != KindClient && k != KindMarket
}

// Name is a parsed resource name:
//
//	advertisers/{a}
//	advertisers/{a}/programs/{p}
//	advertisers/{a}/programs/{p}/places/{l}
//	advertisers/{a}/campaigns/{c}
//	users/{u}
//	users/{u}/keys/{k}
//	clients/{c}
//	clients/{c}/keys/{k}
//	market
type Name struct {
	Kind                                 ResourceKind
	Advertiser, Program, Place, Campaign string
	User, Client, Key                    string
}

// AnyID stands for every id in the parent of a list.
const AnyID = "-"

// ParseName reads a resource name. The error says which form was expected.
func ParseName(s string) (Name, error) {
	if s == MarketName {
		return Name{Kind: KindMarket}, nil
	}
	parts := strings.Split(s, "/")
	for i := 1; i < len(parts); i += 2 {
		if parts[i] != AnyID {
			if err := CheckID(parts[i]); err != nil {
				return Name{}, err
			}
		}
	}
	literals := make([]string, 0, 3)
	for i := 0; i < len(parts); i += 2 {
		literals = append(literals, parts[i])
	}
	even := len(parts)%2 == 0
	switch form := strings.Join(literals, "/"); {
	case even && form == "advertisers":
		return Name{Kind: KindAdvertiser, Advertiser: parts[1]}, nil
	case even && form == "advertisers/programs":
		return Name{Kind: KindProgram, Advertiser: parts[1], Program: parts[3]}, nil
	case even && form == "advertisers/programs/places":
		return Name{Kind: KindPlace, Advertiser: parts[1], Program: parts[3], Place: parts[5]}, nil
	case even && form == "advertisers/campaigns":
		return Name{Kind: KindCampaign, Advertiser: parts[1], Campaign: parts[3]}, nil
	case even && form == "users":
		return Name{Kind: KindUser, User: parts[1]}, nil
	case even && form == "users/keys":
		return Name{Kind: KindKey, User: parts[1], Key: parts[3]}, nil
	case even && form == "clients":
		return Name{Kind: KindClient, Client: parts[1]}, nil
	case even && form == "clients/keys":
		return Name{Kind: KindKey, Client: parts[1], Key: parts[3]}, nil
	}
	return Name{}, fmt.Errorf("%q is not a resource name: write advertisers/{a}, advertisers/{a}/programs/{p}, "+
		"advertisers/{a}/programs/{p}/places/{l} or advertisers/{a}/campaigns/{c}; or for who may call users/{u}, "+
		"clients/{c}, users/{u}/keys/{k} or clients/{c}/keys/{k}; or market", Shorten(s))
}

// ParseNameOf reads a name of one kind and refuses "-" in it. The error names the field.
func ParseNameOf(kind ResourceKind, field, s string) (Name, error) {
	name, err := ParseName(s)
	if err != nil {
		return Name{}, Invalidf(field, "%v", err)
	}
	if name.Kind != kind {
		return Name{}, Invalidf(field, "%q is the name of one %s: name one %s", Shorten(s), name.Kind, kind)
	}
	if name.HasWildcard() {
		return Name{}, Invalidf(field, "%q: \"-\" stands for any id in a list only", Shorten(s))
	}
	return name, nil
}

// HasWildcard reports whether an id of the name is AnyID.
func (n Name) HasWildcard() bool {
	return n.Advertiser == AnyID || n.Program == AnyID || n.Place == AnyID || n.Campaign == AnyID || n.User == AnyID ||
		n.Client == AnyID || n.Key == AnyID
}

// CheckID refuses an id unless it has 1 to 63 characters of a-z, 0-9 and '-', with no '-' at either end.
func CheckID(id string) error {
	ok := len(id) >= 1 && len(id) <= 63 && id[0] != '-' && id[len(id)-1] != '-'
	for _, c := range []byte(id) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	}
	if !ok {
		return fmt.Errorf("%q is not an id: use 1 to 63 of a-z, 0-9 and '-', with no '-' at either end", Shorten(id))
	}
	return nil
}

// String writes the resource name.
func (n Name) String() string {
	switch n.Kind {
	case KindAdvertiser:
		return "advertisers/" + n.Advertiser
	case KindProgram:
		return "advertisers/" + n.Advertiser + "/programs/" + n.Program
	case KindPlace:
		return "advertisers/" + n.Advertiser + "/programs/" + n.Program + "/places/" + n.Place
	case KindCampaign:
		return "advertisers/" + n.Advertiser + "/campaigns/" + n.Campaign
	case KindUser:
		return "users/" + n.User
	case KindClient:
		return "clients/" + n.Client
	case KindKey:
		return n.Owner().String() + "/keys/" + n.Key
	case KindMarket:
		return MarketName
	}
	return ""
}

// Owner returns the name of the advertiser, the user or the client that owns the resource. These own themselves, and so
// does the market.
func (n Name) Owner() Name {
	switch {
	case n.Kind == KindMarket:
		return n
	case n.User != "":
		return Name{Kind: KindUser, User: n.User}
	case n.Client != "":
		return Name{Kind: KindClient, Client: n.Client}
	}
	return Name{Kind: KindAdvertiser, Advertiser: n.Advertiser}
}

// Parent returns the name of the resource one level up. The parent of an advertiser, a user, a client or the
// market is the zero Name.
func (n Name) Parent() Name {
	switch n.Kind {
	case KindPlace:
		return Name{Kind: KindProgram, Advertiser: n.Advertiser, Program: n.Program}
	case KindProgram, KindCampaign, KindKey:
		return n.Owner()
	}
	return Name{}
}
