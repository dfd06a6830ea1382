package cli

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// usersCommand groups the commands about users.
type usersCommand struct {
	Create  usersCreateCommand  `cmd:"" help:"Add a user."`
	List    usersListCommand    `cmd:"" help:"List users, with what they are members of."`
	Member  usersMemberCommand  `cmd:"" help:"Make a user a member of an advertiser, change the level, or end it with none."`
	Role    usersRoleCommand    `cmd:"" help:"Change a user's role."`
	Quota   usersQuotaCommand   `cmd:"" help:"Show and set what a user may ask of a server."`
	Suspend usersSuspendCommand `cmd:"" help:"Refuse a user's credentials, or with --resume take them again."`
	Delete  usersDeleteCommand  `cmd:"" help:"Delete a user with all keys."`
}

// roleName and levelName write enumerations as flags do.
func roleName(r pb.Role) string { return strings.ToLower(strings.TrimPrefix(r.String(), "ROLE_")) }

func levelName(l pb.MembershipLevel) string {
	return strings.ToLower(strings.TrimPrefix(l.String(), "MEMBERSHIP_LEVEL_"))
}

// levelOf reads a level; kong allows only the levels and none.
func levelOf(text string) pb.MembershipLevel {
	return pb.MembershipLevel(pb.MembershipLevel_value["MEMBERSHIP_LEVEL_"+strings.ToUpper(text)])
}

func roleOf(text string) pb.Role { return pb.Role(pb.Role_value["ROLE_"+strings.ToUpper(text)]) }

// named puts the collection before an id that stands alone.
func named(collection, id string) string {
	if strings.Contains(id, "/") {
		return id
	}
	return collection + "/" + id
}

// credentialFlags are what a user or a client may be known by besides keys.
type credentialFlags struct {
	Certificates []string `name:"certificate-name" help:"Name in client certificates that stands for it: a URI, a DNS name or a mail address." placeholder:"NAME"`
	Identities   []string `name:"identity" help:"Who it is at an OpenID provider, as in https://accounts.example.com=1234." placeholder:"ISSUER=SUBJECT"`
}

func (f *credentialFlags) identities() (out []*pb.Identity, err error) {
	for _, text := range f.Identities {
		at := strings.LastIndexByte(text, '=')
		if at < 0 {
			return nil, fmt.Errorf("--identity: %q is no issuer and subject: write https://accounts.example.com=1234", text)
		}
		out = append(out, &pb.Identity{Issuer: text[:at], Subject: text[at+1:]})
	}
	return out, nil
}

type usersCreateCommand struct {
	ID              string   `arg:"" help:"Last part of the user's name: 1 to 63 of a-z, 0-9 and '-'."`
	Role            string   `help:"What the user is: operator, auditor (reads everything) or member (of advertisers)." enum:"operator,auditor,member" default:"member"`
	Member          []string `help:"Advertiser and level, as in advertisers/a=editor." placeholder:"ADVERTISER=LEVEL"`
	Title           string   `help:"What people read." placeholder:"TEXT"`
	credentialFlags `embed:""`
	clientFlags     `embed:""`
}

// Run adds a user.
func (c *usersCreateCommand) Run(s *session) error {
	user := &pb.User{DisplayName: c.Title, Role: roleOf(c.Role), CertificateNames: c.Certificates}
	var err error
	if user.Identities, err = c.identities(); err != nil {
		return err
	}
	for _, text := range c.Member {
		advertiser, level, _ := strings.Cut(text, "=")
		m := &pb.Membership{Advertiser: named("advertisers", advertiser), Level: levelOf(level)}
		if m.GetLevel() == 0 {
			return fmt.Errorf("--member: %q has no level: write advertisers/a=viewer, =editor or =admin", text)
		}
		user.Memberships = append(user.Memberships, m)
	}
	return c.call(s, func(ctx context.Context, conn *client) error {
		made, err := conn.access.CreateUser(ctx, &pb.CreateUserRequest{UserId: c.ID, User: user})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.Stderr, "%s is there. Issue a key: hexbid keys create %[1]s\n", made.GetName())
		return err
	})
}

type usersListCommand struct {
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// Run lists users.
func (c *usersListCommand) Run(s *session) error {
	return c.call(s, func(ctx context.Context, conn *client) error {
		all := &pb.ListUsersResponse{}
		for page := ""; ; {
			r, err := conn.access.ListUsers(ctx, &pb.ListUsersRequest{PageSize: 1000, PageToken: page})
			if err != nil {
				return err
			}
			all.Users = append(all.Users, r.GetUsers()...)
			if page = r.GetNextPageToken(); page == "" {
				break
			}
		}
		if c.Output == "json" {
			return printJSON(s, all)
		}
		printUsers(s, all.GetUsers())
		return nil
	})
}

func printUsers(s *session, users []*pb.User) {
	t := table{}
	t.add("NAME", "ROLE", "TITLE", "MEMBER OF")
	for _, u := range users {
		role := roleName(u.GetRole())
		if u.GetSuspended() {
			role += ", suspended"
		}
		var of []string
		for _, m := range u.GetMemberships() {
			of = append(of, m.GetAdvertiser()+" ("+levelName(m.GetLevel())+")")
		}
		t.add(u.GetName(), role, u.GetDisplayName(), strings.Join(of, ", "))
	}
	t.print(s.Stdout)
}

type usersMemberCommand struct {
	User        string `arg:"" help:"The user."`
	Advertiser  string `arg:"" help:"The advertiser."`
	Level       string `arg:"" help:"viewer, editor, admin, or none to end it." enum:"viewer,editor,admin,none"`
	clientFlags `embed:""`
}

// Run sets or ends a membership.
func (c *usersMemberCommand) Run(s *session) error {
	return c.call(s, func(ctx context.Context, conn *client) error {
		_, err := conn.access.SetMembership(ctx, &pb.SetMembershipRequest{User: named("users", c.User),
			Advertiser: named("advertisers", c.Advertiser), Level: levelOf(c.Level)})
		return err
	})
}

type usersRoleCommand struct {
	User        string `arg:"" help:"The user."`
	Role        string `arg:"" help:"operator, auditor or member." enum:"operator,auditor,member"`
	clientFlags `embed:""`
}

// Run changes a user's role.
func (c *usersRoleCommand) Run(s *session) error {
	return c.update(s, &pb.User{Name: named("users", c.User), Role: roleOf(c.Role)}, "role")
}

// update changes one field of a user.
func (f *clientFlags) update(s *session, u *pb.User, field string) error {
	return f.call(s, func(ctx context.Context, conn *client) error {
		_, err := conn.access.UpdateUser(ctx, &pb.UpdateUserRequest{User: u,
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{field}}})
		return err
	})
}

type usersSuspendCommand struct {
	User        string `arg:"" help:"The user."`
	Resume      bool   `help:"Take the user's credentials again."`
	clientFlags `embed:""`
}

// Run suspends a user, or resumes.
func (c *usersSuspendCommand) Run(s *session) error {
	return c.update(s, &pb.User{Name: named("users", c.User), Suspended: !c.Resume}, "suspended")
}

type usersDeleteCommand struct {
	User        string `arg:"" help:"The user."`
	clientFlags `embed:""`
}

// Run deletes a user.
func (c *usersDeleteCommand) Run(s *session) error {
	return c.call(s, func(ctx context.Context, conn *client) error {
		_, err := conn.access.DeleteUser(ctx, &pb.DeleteUserRequest{Name: named("users", c.User)})
		return err
	})
}
