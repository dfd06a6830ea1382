package access

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/hexbid/hexbid"
	_ "github.com/hexbid/hexbid/proto/hexbid/v1" // registers the contract
)

// contract is the package of the wire contract.
const contract = "hexbid.v1."

func TestEveryMethodOfTheContractHasARow(t *testing.T) {
	rows := Methods()
	protoregistry.GlobalFiles.RangeFilesByPackage("hexbid.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				name := strings.TrimPrefix(string(s.FullName()), contract) + "/" + string(s.Methods().Get(j).Name())
				if _, there := rows[name]; !there {
					t.Errorf("%s has no row in the table of rights", name)
				}
				delete(rows, name)
			}
		}
		return true
	})
	for name := range rows {
		t.Errorf("%s has a row, and is no method of the contract", name)
	}
}

// What changes something is no auditor's, and standard methods are where On looks for them.
func TestTheTableAgreesWithItself(t *testing.T) {
	verbs := [...]string{Create: "Create", Get: "Get", List: "List", Update: "Update", Delete: "Delete"}
	for kind := hexbid.KindAdvertiser; kind < hexbid.KindEnd; kind++ {
		for v, verb := range verbs {
			r := RuleOf(On(Verb(v), kind))
			if there := Verb(v) == Get || Verb(v) == Update; kind == hexbid.KindMarket && !there {
				if r != (Rule{}) {
					t.Errorf("%s on the market is %s", verb, r.Name)
				}
				continue
			}
			_, name, _ := strings.Cut(r.Name, "/")
			if name = strings.TrimSuffix(name, "s"); !strings.EqualFold(name, verb+kind.String()) {
				t.Errorf("%s on %s is %s", verb, kind, r.Name)
			}
			if reads := Verb(v) == Get || Verb(v) == List; r.Auditor != reads {
				t.Errorf("%s: auditors may: %t", r.Name, r.Auditor)
			}
			if reads := Verb(v) == Get || Verb(v) == List; kind <= hexbid.KindCampaign &&
				reads != (r.Member == hexbid.LevelViewer) {
				t.Errorf("%s: takes %s", r.Name, r.Member)
			}
		}
	}
	for _, kind := range []hexbid.ResourceKind{0, hexbid.KindEnd, 200} {
		if On(Get, kind) != OperatorsOwn {
			t.Errorf("kind %d has methods", kind)
		}
	}
}
