package wire

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

func userFromNoun(v *hexbid.User) *pb.User {
	return &pb.User{
		Name: v.Name, Uid: uint64(v.UID), CreateTime: fromInstant(v.CreatedAt),
		UpdateTime: fromInstant(v.UpdatedAt), DisplayName: v.DisplayName,
		Role:             pb.Role(v.Role),
		Memberships:      FromMemberships(v.Memberships),
		CertificateNames: v.CertificateNames,
		Identities:       fromIdentities(v.Identities),
		Suspended:        v.Suspended,
		Quota:            FromCallQuota(&v.Quota),
	}
}

func (c *conversion) user(v *pb.User) *hexbid.User {
	return &hexbid.User{
		Meta:             c.meta(hexbid.KindUser, v),
		DisplayName:      v.GetDisplayName(),
		Role:             toEnum(c, "user.role", v.GetRole(), hexbid.RoleCount),
		Memberships:      c.memberships(v.GetMemberships()),
		CertificateNames: v.GetCertificateNames(),
		Identities:       toIdentities(v.GetIdentities()),
		Suspended:        v.GetSuspended(),
		Quota:            toCallQuota(v.GetQuota()),
	}
}

// FromCallQuota converts what a user or a client may ask of a server. It returns nil for nothing.
func FromCallQuota(v *hexbid.CallQuota) *pb.CallQuota {
	if *v == (hexbid.CallQuota{}) {
		return nil
	}
	return &pb.CallQuota{CallsPerSecond: v.CallsPerSecond, InFlight: v.InFlight, RowsPerDay: v.RowsPerDay}
}

func toCallQuota(v *pb.CallQuota) hexbid.CallQuota {
	return hexbid.CallQuota{CallsPerSecond: v.GetCallsPerSecond(), InFlight: v.GetInFlight(),
		RowsPerDay: v.GetRowsPerDay()}
}

// FromMemberships converts a user's memberships.
func FromMemberships(all []hexbid.Membership) (out []*pb.Membership) {
	for _, m := range all {
		out = append(out, &pb.Membership{Advertiser: m.Advertiser, AdvertiserUid: uint64(m.UID),
			Level: pb.MembershipLevel(m.Level)})
	}
	return out
}

func (c *conversion) memberships(all []*pb.Membership) (out []hexbid.Membership) {
	for i, m := range all {
		out = append(out, hexbid.Membership{Advertiser: m.GetAdvertiser(), UID: hexbid.UID(m.GetAdvertiserUid()),
			Level: toEnum(c, fmt.Sprintf("user.memberships[%d].level", i), m.GetLevel(), hexbid.LevelCount)})
	}
	return out
}

func fromIdentities(all []hexbid.Identity) (out []*pb.Identity) {
	for _, i := range all {
		out = append(out, &pb.Identity{Issuer: i.Issuer, Subject: i.Subject})
	}
	return out
}

func toIdentities(all []*pb.Identity) (out []hexbid.Identity) {
	for _, i := range all {
		out = append(out, hexbid.Identity{Issuer: i.GetIssuer(), Subject: i.GetSubject()})
	}
	return out
}

func clientFromNoun(v *hexbid.Client) *pb.Client {
	out := &pb.Client{
		Name: v.Name, Uid: uint64(v.UID), CreateTime: fromInstant(v.CreatedAt),
		UpdateTime: fromInstant(v.UpdatedAt), DisplayName: v.DisplayName,
		SeesPrices:       v.SeesPrices,
		SeesCampaigns:    v.SeesCampaigns,
		RendersOnly:      v.RendersOnly,
		CertificateNames: v.CertificateNames,
		Identities:       fromIdentities(v.Identities),
		Suspended:        v.Suspended,
		Quota:            FromCallQuota(&v.Quota),
	}
	for _, g := range v.EventsOf {
		out.EventsOf = append(out.EventsOf, &pb.ClientGrant{Client: g.Client, ClientUid: uint64(g.UID)})
	}
	return out
}

func (c *conversion) client(v *pb.Client) *hexbid.Client {
	out := &hexbid.Client{
		Meta:             c.meta(hexbid.KindClient, v),
		DisplayName:      v.GetDisplayName(),
		SeesPrices:       v.GetSeesPrices(),
		SeesCampaigns:    v.GetSeesCampaigns(),
		RendersOnly:      v.GetRendersOnly(),
		CertificateNames: v.GetCertificateNames(),
		Identities:       toIdentities(v.GetIdentities()),
		Suspended:        v.GetSuspended(),
		Quota:            toCallQuota(v.GetQuota()),
	}
	for _, g := range v.GetEventsOf() {
		out.EventsOf = append(out.EventsOf, hexbid.ClientGrant{Client: g.GetClient(), UID: hexbid.UID(g.GetClientUid())})
	}
	return out
}

// keyFromNoun leaves out the hash of the secret, which is for the disk alone.
func keyFromNoun(v *hexbid.Key) *pb.Key {
	return &pb.Key{
		Name: v.Name, Uid: uint64(v.UID), CreateTime: fromInstant(v.CreatedAt),
		UpdateTime: fromInstant(v.UpdatedAt), DisplayName: v.DisplayName,
		CredentialId: v.CredentialID,
		ExpireTime:   fromInstant(v.Expires),
	}
}

func (c *conversion) key(v *pb.Key) *hexbid.Key {
	out := &hexbid.Key{
		Meta:        c.meta(hexbid.KindKey, v),
		DisplayName: v.GetDisplayName(),
		Expires:     c.instant("key.expire_time", v.GetExpireTime()),
	}
	if c.stored {
		out.CredentialID = v.GetCredentialId()
	}
	return out
}

// besides converts a message of a user, a client, a key or the market. It returns nil for any other.
func (c *conversion) besides(m proto.Message) hexbid.Resource {
	switch v := m.(type) {
	case *pb.User:
		return c.user(v)
	case *pb.Client:
		return c.client(v)
	case *pb.Key:
		return c.key(v)
	case *pb.Market:
		return c.market(v)
	}
	return nil
}

// besidesFromNoun converts a user, a client, a key or the market to its message. It returns nil for any other resource.
func besidesFromNoun(r hexbid.Resource) proto.Message {
	switch v := r.(type) {
	case *hexbid.User:
		return userFromNoun(v)
	case *hexbid.Client:
		return clientFromNoun(v)
	case *hexbid.Key:
		return keyFromNoun(v)
	case *hexbid.Market:
		return marketFromNoun(v)
	}
	return nil
}
