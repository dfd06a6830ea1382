package cli

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

func TestAChangeIsALineAndItsFieldsAreLines(t *testing.T) {
	change := &pb.Change{Name: "changes/x", Undoes: "changes/w",
		Time: timestamppb.New(time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC)),
		Actor: &pb.Actor{Role: pb.Role_ROLE_OPERATOR, Name: "users/alice", Origin: "10.0.0.7:51514",
			Credential: "users/alice/keys/k"},
		Resources: []*pb.ResourceChange{{Resource: "advertisers/a/campaigns/c",
			Action: pb.ChangeAction_CHANGE_ACTION_UPDATED, Fields: []*pb.FieldChange{
				{Field: "bid_micros", Before: structpb.NewStringValue("1000000"), After: structpb.NewStringValue("1250000")},
				{Field: "program", After: structpb.NewStringValue("advertisers/a/programs/p")},
				{Field: "area", Omitted: true}}}}}
	head := "2026-11-22T01:02:03Z  users/alice (operator) from 10.0.0.7:51514 with users/alice/keys/k  " +
		"updated advertisers/a/campaigns/c  (undoes changes/w)  changes/x\n"
	for fields, want := range map[bool]string{false: head, true: head + "    bid: " + money(1_000_000) + " -> " +
		money(1_250_000) + "\n    program: - -> \"advertisers/a/programs/p\"\n" +
		"    area: a large value (--full shows it, up to 1 MiB)\n"} {
		var out strings.Builder
		if err := printChange(&out, change, fields); err != nil || out.String() != want {
			t.Errorf("%q\nwant\n%q, %v", out.String(), want, err)
		}
	}
}

func TestDamageIsTold(t *testing.T) {
	for name, want := range map[string]string{"changes/x": "was altered or is missing  changes/x", "": "names the file"} {
		var out strings.Builder
		if err := printChange(&out, &pb.Change{Name: name, Damaged: true}, false); err != nil ||
			!strings.HasPrefix(out.String(), "damaged: ") || !strings.Contains(out.String(), want) {
			t.Errorf("%q, %v", out.String(), err)
		}
	}
}

func TestAnOwnerWithoutItsCollectionIsAnAdvertiser(t *testing.T) {
	for owner, want := range map[string]string{"": "", "acme": "advertisers/acme", "advertisers/acme": "advertisers/acme",
		"users/alice": "users/alice", "clients/superapp": "clients/superapp"} {
		if got := (&historyCommand{Owner: owner}).request(time.Now()).GetOwner(); got != want {
			t.Errorf("--owner %q asks for %q, want %q", owner, got, want)
		}
	}
}
