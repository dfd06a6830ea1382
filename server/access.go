package server

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/wire"
)

// accessService serves users, clients and keys, mostly by the standard methods.
type accessService struct {
	pb.UnimplementedAccessServiceServer
	server *Server
}

func (s *accessService) exchange() *exchange.Exchange { return s.server.exchange.Load() }

// shower implements resources.
func (s *accessService) shower(context.Context, pb.View) (func(hexbid.Resource) proto.Message, error) {
	directory := s.exchange().Directory()
	return func(r hexbid.Resource) proto.Message {
		m := wire.FromNoun(r)
		if k, isKey := r.(*hexbid.Key); isKey {
			if hour := directory.LastUse(k); hour > 0 {
				m.(*pb.Key).LastUseTime = timestamppb.New(time.Unix(hour*3600, 0))
			}
		}
		return withEtag(s, m, r)
	}, nil
}

// CreateUser implements pb.AccessServiceServer.
func (s *accessService) CreateUser(ctx context.Context, r *pb.CreateUserRequest) (*pb.User, error) {
	return create(ctx, s, r.GetUser(), creation{hexbid.KindUser, "", r.GetUserId(), r.GetValidateOnly()})
}

// GetUser implements pb.AccessServiceServer.
func (s *accessService) GetUser(ctx context.Context, r *pb.GetUserRequest) (*pb.User, error) {
	return get[*pb.User](ctx, s, hexbid.KindUser, r.GetName())
}

// ListUsers implements pb.AccessServiceServer.
func (s *accessService) ListUsers(ctx context.Context, r *pb.ListUsersRequest) (*pb.ListUsersResponse, error) {
	page, next, err := list[*pb.User](ctx, s, listing{hexbid.KindUser, "", r.GetPageSize(), r.GetPageToken(), 0})
	return &pb.ListUsersResponse{Users: page, NextPageToken: next}, err
}

// UpdateUser implements pb.AccessServiceServer.
func (s *accessService) UpdateUser(ctx context.Context, r *pb.UpdateUserRequest) (*pb.User, error) {
	return update(ctx, s, hexbid.KindUser, r.GetUser(),
		updateOptions{r.GetUpdateMask(), r.GetValidateOnly(), r.GetAllowMissing()})
}

// DeleteUser implements pb.AccessServiceServer.
func (s *accessService) DeleteUser(ctx context.Context, r *pb.DeleteUserRequest) (*emptypb.Empty, error) {
	return remove(ctx, s, removal{hexbid.KindUser, r.GetName(), r.GetEtag(), r.GetValidateOnly()})
}

// CreateClient implements pb.AccessServiceServer.
func (s *accessService) CreateClient(ctx context.Context, r *pb.CreateClientRequest) (*pb.Client, error) {
	return create(ctx, s, r.GetClient(), creation{hexbid.KindClient, "", r.GetClientId(), r.GetValidateOnly()})
}

// GetClient implements pb.AccessServiceServer.
func (s *accessService) GetClient(ctx context.Context, r *pb.GetClientRequest) (*pb.Client, error) {
	return get[*pb.Client](ctx, s, hexbid.KindClient, r.GetName())
}

// ListClients implements pb.AccessServiceServer.
func (s *accessService) ListClients(ctx context.Context, r *pb.ListClientsRequest) (*pb.ListClientsResponse, error) {
	page, next, err := list[*pb.Client](ctx, s, listing{hexbid.KindClient, "", r.GetPageSize(), r.GetPageToken(), 0})
	return &pb.ListClientsResponse{Clients: page, NextPageToken: next}, err
}

// UpdateClient implements pb.AccessServiceServer.
func (s *accessService) UpdateClient(ctx context.Context, r *pb.UpdateClientRequest) (*pb.Client, error) {
	return update(ctx, s, hexbid.KindClient, r.GetClient(),
		updateOptions{r.GetUpdateMask(), r.GetValidateOnly(), r.GetAllowMissing()})
}

// DeleteClient implements pb.AccessServiceServer.
func (s *accessService) DeleteClient(ctx context.Context, r *pb.DeleteClientRequest) (*emptypb.Empty, error) {
	return remove(ctx, s, removal{hexbid.KindClient, r.GetName(), r.GetEtag(), r.GetValidateOnly()})
}

// CreateKey implements pb.AccessServiceServer.
func (s *accessService) CreateKey(ctx context.Context, r *pb.CreateKeyRequest) (*pb.IssuedKey, error) {
	k, err := newKey(r.GetParent(), r.GetKeyId(), r.GetKey())
	if err != nil {
		return nil, err
	}
	issued, text, err := s.exchange().IssueKey(ctx, k)
	return s.shownOnce(issued, text, err)
}

// newKey returns the key that a caller asks for.
func newKey(parent, id string, m *pb.Key) (*hexbid.Key, error) {
	name, err := childName(hexbid.KindKey, parent, id)
	if err != nil {
		return nil, err
	}
	noun, _, err := wire.ToNoun(m)
	if err != nil {
		return nil, err
	}
	k := noun.(*hexbid.Key)
	k.Name = name
	return k, nil
}

// shownOnce answers with a key that was issued.
func (s *accessService) shownOnce(k *hexbid.Key, text string, err error) (*pb.IssuedKey, error) {
	if err != nil {
		return nil, err
	}
	return &pb.IssuedKey{Key: withEtag(s, wire.FromNoun(k), k).(*pb.Key), Credential: text}, nil
}

// GetKey implements pb.AccessServiceServer.
func (s *accessService) GetKey(ctx context.Context, r *pb.GetKeyRequest) (*pb.Key, error) {
	return get[*pb.Key](ctx, s, hexbid.KindKey, r.GetName())
}

// ListKeys implements pb.AccessServiceServer.
func (s *accessService) ListKeys(ctx context.Context, r *pb.ListKeysRequest) (*pb.ListKeysResponse, error) {
	page, next, err := list[*pb.Key](ctx, s, listing{hexbid.KindKey, r.GetParent(), r.GetPageSize(), r.GetPageToken(), 0})
	return &pb.ListKeysResponse{Keys: page, NextPageToken: next}, err
}

// UpdateKey implements pb.AccessServiceServer.
func (s *accessService) UpdateKey(ctx context.Context, r *pb.UpdateKeyRequest) (*pb.Key, error) {
	return update(ctx, s, hexbid.KindKey, r.GetKey(), updateOptions{r.GetUpdateMask(), r.GetValidateOnly(), false})
}

// DeleteKey implements pb.AccessServiceServer.
func (s *accessService) DeleteKey(ctx context.Context, r *pb.DeleteKeyRequest) (*emptypb.Empty, error) {
	return remove(ctx, s, removal{hexbid.KindKey, r.GetName(), r.GetEtag(), r.GetValidateOnly()})
}

// RotateKey implements pb.AccessServiceServer.
func (s *accessService) RotateKey(ctx context.Context, r *pb.RotateKeyRequest) (*pb.IssuedKey, error) {
	old, err := hexbid.ParseNameOf(hexbid.KindKey, "name", r.GetName())
	if err != nil {
		return nil, err
	}
	k, err := newKey(old.Owner().String(), r.GetKeyId(), &pb.Key{ExpireTime: r.GetExpireTime()})
	if err != nil {
		return nil, err
	}
	o := exchange.Rotation{Old: r.GetName(), New: k, Overlap: exchange.DefaultOverlap}
	if r.GetOverlap() != nil {
		if err := r.GetOverlap().CheckValid(); err != nil {
			return nil, hexbid.Invalidf("overlap", "%v", err)
		}
		o.Overlap = r.GetOverlap().AsDuration()
	}
	issued, text, err := s.exchange().RotateKey(ctx, o)
	return s.shownOnce(issued, text, err)
}

// SetMembership implements pb.AccessServiceServer.
func (s *accessService) SetMembership(ctx context.Context, r *pb.SetMembershipRequest) (*pb.Membership, error) {
	level, err := wire.Enum("level", r.GetLevel(), hexbid.LevelCount)
	if err != nil {
		return nil, err
	}
	set, err := s.exchange().SetMembership(ctx, r.GetUser(), r.GetAdvertiser(), level)
	if err != nil {
		return nil, err
	}
	return wire.FromMemberships([]hexbid.Membership{set})[0], nil
}

// WhoAmI implements pb.AccessServiceServer.
func (s *accessService) WhoAmI(ctx context.Context, _ *pb.WhoAmIRequest) (*pb.WhoAmIResponse, error) {
	p := hexbid.PrincipalOf(ctx)
	out := s.server.whoIs(&p)
	if p.Grants != nil {
		out.Memberships = wire.FromMemberships(p.Grants.Members())
	}
	if quota, used := s.server.quotas.used(&p); quota != nil {
		out.Quota, out.Used = wire.FromCallQuota(quota), wire.FromCallQuota(used)
	}
	return out, nil
}
