package server

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
)

func TestUsersClientsAndKeysAreMadeReadChangedAndDeleted(t *testing.T) {
	forEngines(t, func(t *testing.T, catalogue *campaignService) {
		s := &accessService{server: catalogue.server}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		user, err := s.CreateUser(ctx, &pb.CreateUserRequest{UserId: "alice", User: &pb.User{Role: pb.Role_ROLE_MEMBER,
			Memberships: []*pb.Membership{{Advertiser: "advertisers/a", Level: pb.MembershipLevel_MEMBERSHIP_LEVEL_EDITOR}}}})
		must(err)
		if m := user.GetMemberships(); len(m) != 1 || m[0].GetAdvertiserUid() == 0 {
			t.Errorf("the membership does not say whose it is: %v", m)
		}
		_, err = s.CreateClient(ctx, &pb.CreateClientRequest{ClientId: "app", Client: &pb.Client{SeesPrices: true}})
		must(err)
		issued, err := s.CreateKey(ctx, &pb.CreateKeyRequest{Parent: "users/alice", KeyId: "laptop",
			Key: &pb.Key{DisplayName: "laptop"}})
		must(err)
		if !strings.HasPrefix(issued.GetCredential(), "hxb_"+issued.GetKey().GetCredentialId()) {
			t.Errorf("the key %q has the id %q", issued.GetCredential(), issued.GetKey().GetCredentialId())
		}
		next, err := s.RotateKey(ctx, &pb.RotateKeyRequest{Name: "users/alice/keys/laptop", KeyId: "laptop-2",
			Overlap: durationpb.New(0)})
		must(err)
		changed, err := s.UpdateKey(ctx, &pb.UpdateKeyRequest{Key: &pb.Key{Name: "users/alice/keys/laptop",
			DisplayName: "old laptop"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name"}}})
		must(err)
		if changed.GetExpireTime() == nil || changed.GetCredentialId() != issued.GetKey().GetCredentialId() ||
			next.GetCredential() == issued.GetCredential() {
			t.Errorf("after its rotation the key is %v, and the new one %v", changed, next.GetKey())
		}
		listed, err := s.ListKeys(ctx, &pb.ListKeysRequest{Parent: "users/-"})
		must(err)
		if len(listed.GetKeys()) != 2 {
			t.Errorf("the keys are %v", listed.GetKeys())
		}
		_, err = s.DeleteUser(ctx, &pb.DeleteUserRequest{Name: "users/alice"})
		must(err)
		_, err = s.GetKey(ctx, &pb.GetKeyRequest{Name: "users/alice/keys/laptop"})
		if hexbid.KindOf(err) != hexbid.NotFound {
			t.Errorf("a key of a deleted user: %v", err)
		}
	})
}

func TestAMembershipGivesNothingAtAnAdvertiserMadeLater(t *testing.T) {
	catalogue := openService(t, store.NewMemory())
	s := &accessService{server: catalogue.server}
	create := func() {
		t.Helper()
		if _, err := catalogue.CreateAdvertiser(ctx, &pb.CreateAdvertiserRequest{AdvertiserId: "b",
			Advertiser: &pb.Advertiser{DisplayName: "B"}}); err != nil {
			t.Fatal(err)
		}
	}
	create()
	if _, err := s.CreateUser(ctx, &pb.CreateUserRequest{UserId: "bob",
		User: &pb.User{Role: pb.Role_ROLE_MEMBER}}); err != nil {
		t.Fatal(err)
	}
	set, err := s.SetMembership(ctx, &pb.SetMembershipRequest{Advertiser: "advertisers/b", User: "users/bob",
		Level: pb.MembershipLevel_MEMBERSHIP_LEVEL_ADMIN})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := catalogue.DeleteAdvertiser(ctx, &pb.DeleteAdvertiserRequest{Name: "advertisers/b"}); err != nil {
		t.Fatal(err)
	}
	create()
	// A change of something else does not renew the membership.
	bob, err := s.UpdateUser(ctx, &pb.UpdateUserRequest{User: &pb.User{Name: "users/bob", DisplayName: "Bob"},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name"}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := bob.GetMemberships()[0].GetAdvertiserUid(); got != set.GetAdvertiserUid() {
		t.Errorf("the membership was at uid %d and is at %d", set.GetAdvertiserUid(), got)
	}
	again, err := s.SetMembership(ctx, &pb.SetMembershipRequest{Advertiser: "advertisers/b", User: "users/bob",
		Level: pb.MembershipLevel_MEMBERSHIP_LEVEL_ADMIN})
	if err != nil || again.GetAdvertiserUid() == set.GetAdvertiserUid() {
		t.Errorf("a new membership is at %v, %v", again, err)
	}
	if _, err := s.SetMembership(ctx, &pb.SetMembershipRequest{Advertiser: "advertisers/b",
		User: "users/bob"}); err != nil {
		t.Error(err)
	}
	if bob, err := s.GetUser(ctx, &pb.GetUserRequest{Name: "users/bob"}); err != nil || len(bob.GetMemberships()) != 0 {
		t.Errorf("after its end there is %v, %v", bob.GetMemberships(), err)
	}
}

func TestAUserHasABoundedNumberOfKeys(t *testing.T) {
	s := &accessService{server: openService(t, store.NewMemory()).server}
	if _, err := s.CreateClient(ctx, &pb.CreateClientRequest{ClientId: "app", Client: &pb.Client{}}); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		_, err := s.CreateKey(ctx, &pb.CreateKeyRequest{Parent: "clients/app"})
		if err == nil && n < hexbid.MaxKeys {
			continue
		}
		if n != hexbid.MaxKeys || hexbid.KindOf(err) != hexbid.Exhausted {
			t.Errorf("after %d keys: %v", n, err)
		}
		return
	}
}
