package wire

import (
	"encoding/binary"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	diskpb "github.com/hexbid/hexbid/proto/hexbid/disk/v1"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// Pack converts a resource to its form on disk, without the uid and the version: AppendNumbers adds those to the
// encoded Record. The Record shares texts and lists with the resource.
func Pack(r hexbid.Resource) *diskpb.Record {
	switch v := r.(type) {
	case *hexbid.Advertiser:
		m := advertiserFromNoun(v)
		m.Uid = 0
		return &diskpb.Record{Resource: &diskpb.Record_Advertiser{Advertiser: m}}
	case *hexbid.Program:
		m := programFromNoun(v)
		m.Uid = 0
		return &diskpb.Record{Resource: &diskpb.Record_Program{Program: m}}
	case *hexbid.Place:
		m := placeFromNoun(v)
		m.Uid = 0
		return &diskpb.Record{Resource: &diskpb.Record_Place{Place: m}}
	case *hexbid.Campaign:
		return packCampaign(v)
	}
	return packBesides(r)
}

// packBesides is Pack for what is beside the catalogue: users, clients, keys and the market.
func packBesides(r hexbid.Resource) *diskpb.Record {
	switch v := r.(type) {
	case *hexbid.User:
		m := userFromNoun(v)
		m.Uid = 0
		return &diskpb.Record{Resource: &diskpb.Record_User{User: m}}
	case *hexbid.Client:
		m := clientFromNoun(v)
		m.Uid = 0
		return &diskpb.Record{Resource: &diskpb.Record_Client{Client: m}}
	case *hexbid.Key:
		m := keyFromNoun(v)
		m.Uid = 0
		return &diskpb.Record{Resource: &diskpb.Record_Key{Key: m}, SecretHash: v.SecretHash[:]}
	case *hexbid.Market:
		m := marketFromNoun(v)
		m.Uid = 0
		return &diskpb.Record{Resource: &diskpb.Record_Market{Market: m}}
	}
	return &diskpb.Record{}
}

func packCampaign(v *hexbid.Campaign) *diskpb.Record {
	bare := *v // a copy whose polygons are not written as text
	bare.Area.Polygons, bare.Excluded.Polygons = nil, nil
	m := campaignFromNoun(&bare)
	m.Uid = 0
	return &diskpb.Record{
		Resource:         &diskpb.Record_Campaign{Campaign: m},
		AreaPolygons:     appendPolygons(nil, v.Area.Polygons),
		ExcludedPolygons: appendPolygons(nil, v.Excluded.Polygons),
	}
}

// Unpack converts a Record with its uid and version to a resource. Its error names what no resource can have: such a
// Record is damaged, or a later program wrote it. The resource shares texts and lists with the Record.
func Unpack(m *diskpb.Record) (hexbid.Resource, error) {
	c := conversion{stored: true}
	var r hexbid.Resource
	switch v := m.GetResource().(type) {
	case *diskpb.Record_Advertiser:
		r = c.advertiser(v.Advertiser)
	case *diskpb.Record_Program:
		r = c.program(v.Program)
	case *diskpb.Record_Place:
		r = c.place(v.Place)
	case *diskpb.Record_Campaign:
		r = c.unpackCampaign(m, v.Campaign)
	case *diskpb.Record_User:
		r = c.user(v.User)
	case *diskpb.Record_Client:
		r = c.client(v.Client)
	case *diskpb.Record_Key:
		r = c.unpackKey(m, v.Key)
	case *diskpb.Record_Market:
		r = c.market(v.Market)
	default:
		return nil, hexbid.Errorf(hexbid.DataLoss, "resource", "is of no kind that there is")
	}
	meta := r.Metadata()
	meta.UID, meta.Version = hexbid.UID(m.GetUid()), m.GetVersion()
	return r, c.err
}

// UnpackResource decodes the resource of an encoded Record, as Unpack does, and nothing else of the Record. A start
// reads every record and needs only that.
func UnpackResource(b []byte) (hexbid.Resource, error) {
	var m diskpb.Record
	for rest := b; len(rest) > 0; {
		field, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		size := protowire.ConsumeFieldValue(field, kind, rest[n:])
		if size < 0 {
			return nil, protowire.ParseError(size)
		}
		if err := takeField(&m, field, kind, rest[n:n+size]); err != nil {
			return nil, err
		}
		rest = rest[n+size:]
	}
	return Unpack(&m)
}

// takeField decodes a field of a Record, given by its number, if it belongs to the resource.
func takeField(m *diskpb.Record, field protowire.Number, kind protowire.Type, value []byte) error {
	if kind == protowire.Fixed64Type {
		switch field {
		case 14:
			m.Uid = binary.LittleEndian.Uint64(value)
		case 15:
			m.Version = binary.LittleEndian.Uint64(value)
		}
		return nil
	}
	if kind != protowire.BytesType {
		return nil
	}
	value, _ = protowire.ConsumeBytes(value)
	switch field {
	case 1:
		v := new(pb.Advertiser)
		m.Resource = &diskpb.Record_Advertiser{Advertiser: v}
		return proto.Unmarshal(value, v)
	case 2:
		v := new(pb.Program)
		m.Resource = &diskpb.Record_Program{Program: v}
		return proto.Unmarshal(value, v)
	case 3:
		v := new(pb.Place)
		m.Resource = &diskpb.Record_Place{Place: v}
		return proto.Unmarshal(value, v)
	case 4:
		v := new(pb.Campaign)
		m.Resource = &diskpb.Record_Campaign{Campaign: v}
		return proto.Unmarshal(value, v)
	case 5:
		m.AreaPolygons = value
	case 6:
		m.ExcludedPolygons = value
	default:
		return takeFieldBesides(m, field, value)
	}
	return nil
}

// takeFieldBesides is takeField for users, clients, keys and the market.
func takeFieldBesides(m *diskpb.Record, field protowire.Number, value []byte) error {
	switch field {
	case 9:
		v := new(pb.User)
		m.Resource = &diskpb.Record_User{User: v}
		return proto.Unmarshal(value, v)
	case 10:
		v := new(pb.Client)
		m.Resource = &diskpb.Record_Client{Client: v}
		return proto.Unmarshal(value, v)
	case 11:
		v := new(pb.Key)
		m.Resource = &diskpb.Record_Key{Key: v}
		return proto.Unmarshal(value, v)
	case 12:
		m.SecretHash = value
	case 13:
		v := new(pb.Market)
		m.Resource = &diskpb.Record_Market{Market: v}
		return proto.Unmarshal(value, v)
	}
	return nil
}

func (c *conversion) unpackKey(m *diskpb.Record, v *pb.Key) *hexbid.Key {
	out := c.key(v)
	if copy(out.SecretHash[:], m.GetSecretHash()); len(m.GetSecretHash()) != len(out.SecretHash) {
		c.note(hexbid.Errorf(hexbid.DataLoss, "secret_hash", "has %d bytes, not %d", len(m.GetSecretHash()),
			len(out.SecretHash)))
	}
	return out
}

func (c *conversion) unpackCampaign(m *diskpb.Record, v *pb.Campaign) *hexbid.Campaign {
	out := c.campaign(v)
	out.Area.Polygons = c.unpackPolygons("area_polygons", m.GetAreaPolygons())
	out.Excluded.Polygons = c.unpackPolygons("excluded_polygons", m.GetExcludedPolygons())
	return out
}

// numbersBytes is the size of the two numbers at the end of a Record, with their tags.
const numbersBytes = 2 * (1 + 8)

// These are the tags of the two numbers.
var (
	uidTag     = byte(protowire.EncodeTag(14, protowire.Fixed64Type))
	versionTag = byte(protowire.EncodeTag(15, protowire.Fixed64Type))
)

// AppendNumbers completes an encoded Record that has no uid and version yet. Call it last: proto.Marshal would write
// the numbers before the resource.
func AppendNumbers(b []byte, uid hexbid.UID, version uint64) []byte {
	b = binary.LittleEndian.AppendUint64(append(b, uidTag), uint64(uid))
	return binary.LittleEndian.AppendUint64(append(b, versionTag), version)
}

// Numbers reads the uid and the version of an encoded Record without decoding the rest. ok is false when the Record
// does not end with them.
func Numbers(b []byte) (uid hexbid.UID, version uint64, ok bool) {
	if len(b) < numbersBytes {
		return 0, 0, false
	}
	end := b[len(b)-numbersBytes:]
	if end[0] != uidTag || end[9] != versionTag {
		return 0, 0, false
	}
	return hexbid.UID(binary.LittleEndian.Uint64(end[1:])), binary.LittleEndian.Uint64(end[10:]), true
}

// Verdict has the fields of store.Verdict, so that either converts to the other.
type Verdict struct {
	State   hexbid.ReviewState
	At      time.Time
	Of      hexbid.Place
	Version uint64
}

// PackVerdict converts a verdict to its form on disk.
func PackVerdict(v *Verdict) *diskpb.Verdict {
	of := Pack(&v.Of)
	of.Uid, of.Version = uint64(v.Of.UID), v.Of.Version
	return &diskpb.Verdict{State: pb.ReviewState(v.State), At: fromInstant(v.At), Of: of, Version: v.Version}
}

// UnpackVerdict reverses PackVerdict. Its error is like that of Unpack.
func UnpackVerdict(m *diskpb.Verdict) (Verdict, error) {
	c := conversion{stored: true}
	v := Verdict{State: toEnum(&c, "verdict.state", m.GetState(), hexbid.ReviewCount),
		At: c.instant("verdict.at", m.GetAt()), Version: m.GetVersion()}
	if m.GetOf() == nil {
		return v, c.err
	}
	r, err := Unpack(m.GetOf())
	c.note(err)
	place, ok := r.(*hexbid.Place)
	if !ok {
		c.note(hexbid.Errorf(hexbid.DataLoss, "verdict.of", "is a %T, not a place", r))
		return v, c.err
	}
	v.Of = *place
	return v, c.err
}

// ContentBytes returns how many bytes a program, a place or a campaign takes on disk, apart from what the store adds.
// Its times do not count, so a write that changes nothing else leaves the size as it is.
func ContentBytes(r hexbid.Resource) int {
	m := Pack(r)
	switch v := m.GetResource().(type) {
	case *diskpb.Record_Program:
		v.Program.CreateTime, v.Program.UpdateTime = nil, nil
	case *diskpb.Record_Place:
		v.Place.CreateTime, v.Place.UpdateTime = nil, nil
	case *diskpb.Record_Campaign:
		v.Campaign.CreateTime, v.Campaign.UpdateTime = nil, nil
	}
	return proto.Size(m)
}
