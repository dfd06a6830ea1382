package wire

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// contentOf returns the fields of a resource without its metadata, every bit of its polygons included.
func contentOf(r hexbid.Resource) any {
	if _, isCampaign := r.(*hexbid.Campaign); isCampaign {
		return []any{messageOf(r), bitsOfAll(r)}
	}
	return messageOf(r)
}

func messageOf(r hexbid.Resource) string {
	m := proto.Clone(FromNoun(r))
	fields := m.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if isMetadata(fields.Get(i)) {
			m.ProtoReflect().Clear(fields.Get(i))
		}
	}
	b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	return string(b)
}

// twoOfAKind draws two states of a resource.
func twoOfAKind(t *rapid.T) (one, other hexbid.Resource) {
	kind := rapid.IntRange(0, 5).Draw(t, "kind") // keys are never restored
	draw := func() hexbid.Resource {
		r, err := load(stored(t, nouns(func() *source { return drawn(t) })[kind])) // no -0, as from callers
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	return draw(), draw()
}

func TestAResourceWithItsDifferencesRestoredIsAsBefore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after := twoOfAKind(t)
		paths := Differences(before, after)
		if len(paths) == 0 != (messageOf(before) == messageOf(after)) {
			t.Fatalf("the differences are %v", paths)
		}
		restored, err := Restored(after, before, paths)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(contentOf(restored), contentOf(before)) || *restored.Metadata() != *after.Metadata() {
			t.Fatalf("restored %v:\n%+v\nbefore\n%+v", paths, restored, before)
		}
		if left := Touched(paths, restored, before); len(left) > 0 {
			t.Fatalf("%v still differ", left)
		}
	})
}

func TestFieldsThatAreNotRestoredStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, present := twoOfAKind(t)
		all := Differences(before, present)
		var some, rest []string
		for _, path := range all {
			if rapid.Bool().Draw(t, path) {
				some = append(some, path)
			} else {
				rest = append(rest, path)
			}
		}
		restored, err := Restored(present, before, some)
		if err != nil {
			t.Fatal(err)
		}
		if touched := Touched(all, restored, before); !slices.Equal(touched, rest) {
			t.Fatalf("restored %v: %v differ, want %v", some, touched, rest)
		}
		if touched := Touched(rest, restored, present); len(touched) > 0 {
			t.Fatalf("restored %v: %v were touched too", some, touched)
		}
	})
}

// folded applies field changes to the JSON of a resource.
func folded(t *rapid.T, to map[string]any, changes []*pb.FieldChange) {
	for _, c := range changes {
		at, path := to, strings.Split(c.GetField(), ".")
		for _, name := range path[:len(path)-1] {
			next, ok := at[name].(map[string]any)
			if !ok {
				t.Fatalf("%s is of nothing in %v", c.GetField(), to)
			}
			at = next
		}
		last := path[len(path)-1]
		if !reflect.DeepEqual(at[last], c.GetBefore().AsInterface()) {
			t.Fatalf("%s was %v and not %v", c.GetField(), at[last], c.GetBefore())
		}
		if at[last] = c.GetAfter().AsInterface(); c.GetAfter() == nil {
			delete(at, last)
		}
	}
}

// jsonContent returns the content of a resource as JSON has it.
func jsonContent(t *rapid.T, r hexbid.Resource) map[string]any {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(FromNoun(r))
	fields := new(structpb.Struct)
	if err != nil || protojson.Unmarshal(text, fields) != nil {
		t.Fatal(err)
	}
	all := fields.AsMap()
	for _, name := range []string{"name", "uid", "etag", "create_time", "update_time"} {
		delete(all, name)
	}
	return all
}

func TestFieldChangesFoldedFromNothingAreTheResource(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, second := twoOfAKind(t)
		state := map[string]any{}
		folded(t, state, FieldChanges(nil, first, 0))
		if want := jsonContent(t, first); !reflect.DeepEqual(state, want) {
			t.Fatalf("created:\n%v\nwant\n%v", state, want)
		}
		folded(t, state, FieldChanges(first, second, 0))
		if want := jsonContent(t, second); !reflect.DeepEqual(state, want) {
			t.Fatalf("updated:\n%v\nwant\n%v", state, want)
		}
		if folded(t, state, FieldChanges(second, nil, 0)); len(state) > 0 {
			t.Fatalf("deleted: %v is left", state)
		}
	})
}

func TestLargeValuesOfFieldsAreLeftOut(t *testing.T) {
	before := &hexbid.Advertiser{DisplayName: "a"}
	after := &hexbid.Advertiser{DisplayName: strings.Repeat("x", 2000), State: hexbid.Paused}
	got := FieldChanges(before, after, 1024)
	if len(got) != 2 || !got[0].GetOmitted() || got[0].GetBefore() != nil || got[0].GetAfter() != nil ||
		got[1].GetOmitted() || got[1].GetAfter().GetStringValue() != "SERVING_STATE_PAUSED" {
		t.Errorf("%v", got)
	}
}

func TestNoHashOfAKeyIsAmongItsFields(t *testing.T) {
	key := &hexbid.Key{DisplayName: "k", CredentialID: "id", SecretHash: [32]byte{1, 2, 3}}
	for _, c := range FieldChanges(nil, key, 0) {
		if c.GetField() != "display_name" && c.GetField() != "credential_id" {
			t.Errorf("a key shows %s", c.GetField())
		}
	}
}
