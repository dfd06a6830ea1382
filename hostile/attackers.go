package main

import (
	"context"
	"strings"

	"google.golang.org/grpc"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// The attackers where credentials are demanded: a search client, a member of an advertiser of their own, and an
// auditor.
const (
	attackerClient = "attacker"
	attackerMember = "attacker"
	attackerReader = "attackers-auditor"
)

// introduceAttackers gives the attackers credentials, on a server that demands them.
func introduceAttackers(ctx context.Context, s *victim.Server) error {
	if !s.DemandsCredentials() {
		return nil
	}
	conn, err := s.Dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := importRows(ctx, conn, programRows(attackerMember)); err != nil {
		return err
	}
	if err := s.IntroduceClients(ctx, attackerClient); err != nil {
		return err
	}
	if err := s.IntroduceUser(ctx, attackerMember, memberOf(attackerMember, adminLevel)); err != nil {
		return err
	}
	return s.IntroduceUser(ctx, attackerReader, &pb.User{Role: pb.Role_ROLE_AUDITOR})
}

const (
	viewerLevel = pb.MembershipLevel_MEMBERSHIP_LEVEL_VIEWER
	adminLevel  = pb.MembershipLevel_MEMBERSHIP_LEVEL_ADMIN
)

func memberOf(advertiser string, level pb.MembershipLevel) *pb.User {
	return &pb.User{Role: pb.Role_ROLE_MEMBER, Memberships: []*pb.Membership{
		{Advertiser: "advertisers/" + advertiser, Level: level}}}
}

// attackerConns returns a connection for each kind of attacker: two of the kinds without a good credential at all. On a
// server that demands none there is one kind.
func attackerConns(s *victim.Server) (conns []*grpc.ClientConn, err error) {
	if !s.DemandsCredentials() {
		conn, err := s.Dial()
		return []*grpc.ClientConn{conn}, err
	}
	for _, credential := range []string{s.Key("clients/" + attackerClient), s.Key("users/" + attackerMember),
		s.Key("users/" + attackerReader), "", alteredKey(s.Key(""))} {
		conn, err := s.DialWith(credential)
		if err != nil {
			return conns, err
		}
		conns = append(conns, conn)
	}
	return conns, nil
}

func closeAll(conns []*grpc.ClientConn) {
	for _, conn := range conns {
		conn.Close()
	}
}

// alteredKey returns a key that nobody has, with the form of one.
func alteredKey(key string) string { return key[:20] + "0000" + key[24:] }

// attackerKey returns the credential of a call on a wire. It is that of a client, of an auditor or of a member, as the
// method needs; each fourth stream has none.
func attackerKey(s *victim.Server, method string, stream uint32) string {
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	switch {
	case !s.DemandsCredentials() || stream/2%4 == 3:
		return ""
	case strings.HasSuffix(service, "SearchService"), strings.HasSuffix(service, "EventService"):
		return s.Key("clients/" + attackerClient)
	case strings.HasPrefix(name, "List"), strings.HasPrefix(name, "Explain"):
		return s.Key("users/" + attackerReader)
	}
	return s.Key("users/" + attackerMember)
}
