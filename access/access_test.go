package access

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// office is a directory with some callers, and their keys' texts by name.
type office struct {
	*Directory
	t       testing.TB
	version uint64
	texts   map[string]string
	held    map[string]hexbid.Resource
}

func openOffice(t testing.TB) *office {
	o := &office{Directory: NewDirectory(RandomPepper()), t: t, texts: map[string]string{},
		held: map[string]hexbid.Resource{}}
	o.put(&hexbid.User{Meta: hexbid.Meta{Name: "users/olga", UID: 1}, Role: hexbid.Operator})
	o.put(&hexbid.User{Meta: hexbid.Meta{Name: "users/mia", UID: 2}, Role: hexbid.Member,
		Memberships: []hexbid.Membership{{Advertiser: "advertisers/a", UID: 7, Level: hexbid.LevelEditor}}})
	o.put(&hexbid.Client{Meta: hexbid.Meta{Name: "clients/app", UID: 3}, SeesPrices: true, RendersOnly: true,
		EventsOf: []hexbid.ClientGrant{{Client: "clients/other", UID: 9}}})
	for i, owner := range []string{"users/olga", "users/mia", "clients/app"} {
		o.issue(owner+"/keys/k", hexbid.UID(10+i), time.Time{})
	}
	return o
}

func (o *office) put(r hexbid.Resource) {
	o.version++
	o.held[r.Metadata().Name] = r
	o.Apply(o.version, []hexbid.Resource{r}, nil)
}

func (o *office) remove(name string) {
	o.version++
	o.Apply(o.version, nil, []hexbid.Resource{o.held[name]})
}

func (o *office) issue(name string, uid hexbid.UID, expires time.Time) string {
	text, id, hash := o.pepper.NewKey()
	o.texts[name] = text
	o.put(&hexbid.Key{Meta: hexbid.Meta{Name: name, UID: uid}, CredentialID: id, SecretHash: hash, Expires: expires})
	return text
}

func (o *office) try(bearer string, now time.Time) (hexbid.Principal, Refusal) {
	p, refusal := o.Authenticate(o.t.Context(), Credentials{Bearer: bearer}, now)
	return p.Principal, refusal
}

func TestAKeySaysWhoCalls(t *testing.T) {
	o := openOffice(t)
	for owner, role := range map[string]hexbid.Role{"users/olga": hexbid.Operator, "users/mia": hexbid.Member,
		"clients/app": hexbid.Searcher} {
		p, refusal := o.try(o.texts[owner+"/keys/k"], noon)
		if refusal != NotRefused || p.Role != role || p.ID != owner || p.Key != owner+"/keys/k" || p.UID == 0 {
			t.Errorf("%s: %+v, %s", owner, p, refusal)
		}
	}
	member, _ := o.try(o.texts["users/mia/keys/k"], noon)
	if m := member.Grants.Advertisers["advertisers/a"]; m.UID != 7 || m.Level != hexbid.LevelEditor {
		t.Errorf("the member's grants are %+v", member.Grants)
	}
	client, _ := o.try(o.texts["clients/app/keys/k"], noon)
	if g := client.Grants; !g.Prices || g.Campaigns || !g.RendersOnly || len(g.EventsOf) != 1 || g.EventsOf[0] != 9 {
		t.Errorf("the client's grants are %+v", g)
	}
	if !o.RendersOnly("app") || o.RendersOnly("other") {
		t.Error("the directory does not know who reports what is only drawn")
	}
}

// TestOnlyTheWholeKeyIsAccepted changes each character of a key, with the checksum as it was and made right again.
func TestOnlyTheWholeKeyIsAccepted(t *testing.T) {
	o := openOffice(t)
	text := o.texts["users/olga/keys/k"]
	seen := map[Refusal]int{}
	for i := range text {
		for _, digit := range []byte{'0', 'z', ' ', 0, 0xff} {
			other := text[:i] + string([]byte{digit}) + text[i+1:]
			right := string(appendChecksum([]byte(other[:checksumAt])))
			for _, bearer := range []string{other, right} {
				_, refusal := o.try(bearer, noon)
				if refusal == NotRefused && bearer != text {
					t.Fatalf("%q is accepted for %q", bearer, text)
				}
				seen[refusal]++
			}
		}
	}
	for _, refusal := range []Refusal{Malformed, Unknown, Wrong} {
		if seen[refusal] == 0 {
			t.Errorf("nothing was refused as %s: %v", refusal, seen)
		}
	}
	if got, want := Unknown.Error().Error(), Wrong.Error().Error(); got != want || Malformed.Error().Error() != want {
		t.Errorf("a caller can tell an id that exists: %q, %q", got, want)
	}
	for _, bearer := range []string{"", " ", KeyPrefix, text + "0", text[:len(text)-1], strings.ToUpper(text),
		" " + text} {
		if _, refusal := o.try(bearer, noon); refusal == NotRefused {
			t.Errorf("%q is accepted", bearer)
		}
	}
}

func TestAKeyOfAnotherDeploymentIsRefused(t *testing.T) {
	o, other := openOffice(t), RandomPepper()
	k := *o.held["users/olga/keys/k"].(*hexbid.Key)
	k.SecretHash = other.hash(o.texts["users/olga/keys/k"])
	o.put(&k)
	if _, refusal := o.try(o.texts["users/olga/keys/k"], noon); refusal != Wrong {
		t.Errorf("a hash by another pepper: %s", refusal)
	}
}

func TestAKeyEndsWithItsTimeItsOwnerAndItself(t *testing.T) {
	o := openOffice(t)
	text := o.issue("users/mia/keys/short", 20, noon.Add(time.Hour))
	for _, c := range []struct {
		at   time.Duration
		want Refusal
	}{{0, NotRefused}, {time.Hour - 1, NotRefused}, {time.Hour, Expired}, {48 * time.Hour, Expired}} {
		if _, refusal := o.try(text, noon.Add(c.at)); refusal != c.want {
			t.Errorf("after %s: %s, want %s", c.at, refusal, c.want)
		}
	}
	mia := *o.held["users/mia"].(*hexbid.User)
	mia.Suspended = true
	o.put(&mia)
	if _, refusal := o.try(text, noon); refusal != Suspended {
		t.Errorf("of a suspended user: %s", refusal)
	}
	mia.Suspended = false
	o.put(&mia)
	o.remove("users/mia/keys/short")
	if _, refusal := o.try(text, noon); refusal != Unknown {
		t.Errorf("revoked: %s", refusal)
	}
	o.remove("users/mia")
	if _, refusal := o.try(o.texts["users/mia/keys/k"], noon); refusal == NotRefused {
		t.Error("a deleted user's key is accepted")
	}
}

func TestAProofIsRememberedUntilAnythingChanges(t *testing.T) {
	o := openOffice(t)
	text := o.issue("users/mia/keys/short", 20, noon.Add(time.Hour))
	c := Credentials{Bearer: text}
	p, refusal := o.Authenticate(t.Context(), c, noon)
	if refusal != NotRefused || !o.InForce(&p, c, noon) {
		t.Fatalf("%s", refusal)
	}
	if o.InForce(&p, c, noon.Add(time.Hour)) || o.InForce(&p, Credentials{Bearer: o.texts["users/olga/keys/k"]}, noon) ||
		o.InForce(&p, Credentials{}, noon) || o.InForce(nil, c, noon) ||
		o.InForce(&p, Credentials{Bearer: text, Certificate: &x509.Certificate{}}, noon) {
		t.Error("the proof holds for what was not proved")
	}
	o.version++
	o.Apply(o.version, []hexbid.Resource{&hexbid.Campaign{}}, nil)
	if !o.InForce(&p, c, noon) {
		t.Error("a campaign's change ends proofs")
	}
	o.remove("users/mia/keys/short")
	if o.InForce(&p, c, noon) {
		t.Error("the proof holds after the key was revoked")
	}
}

func TestUsesAreKeptByTheHour(t *testing.T) {
	o := openOffice(t)
	k := o.held["users/mia/keys/k"].(*hexbid.Key)
	if hour := o.LastUse(k); hour != 0 {
		t.Errorf("before any use: %d", hour)
	}
	o.try(o.texts["users/mia/keys/k"], noon)
	o.try(strings.Repeat("x", KeyBytes), noon.Add(time.Hour))
	want := noon.Unix() / 3600
	if hour := o.LastUse(k); hour != want {
		t.Errorf("%d, want %d", hour, want)
	}
	o.put(k) // as when its name changes
	if hour := o.LastUse(k); hour != want {
		t.Errorf("after a change %d, want %d", hour, want)
	}
	again := openOffice(t)
	again.RememberUses(map[hexbid.UID]int64{k.UID: want, 999: 1})
	if uses := again.Uses(); len(uses) != 1 || uses[k.UID] != want {
		t.Errorf("remembered %v", uses)
	}
}

func certificate(uris []string, dns ...string) *x509.Certificate {
	c := &x509.Certificate{DNSNames: dns, NotAfter: noon.Add(time.Hour)}
	for _, text := range uris {
		uri, err := url.Parse(text)
		if err != nil {
			panic(err)
		}
		c.URIs = append(c.URIs, uri)
	}
	return c
}

func TestACertificateNamesACaller(t *testing.T) {
	o := openOffice(t)
	mia := *o.held["users/mia"].(*hexbid.User)
	mia.CertificateNames = []string{"mia.example", "spiffe://example/mia"}
	o.put(&mia)
	try := func(c Credentials, at time.Time) (string, Refusal) {
		p, refusal := o.Authenticate(t.Context(), c, at)
		return p.Principal.ID, refusal
	}
	for _, c := range []struct {
		what   string
		of     Credentials
		at     time.Time
		owner  string
		refuse Refusal
	}{
		{"its own form", Credentials{Certificate: certificate([]string{"hexbid:clients/app"})}, noon, "clients/app", 0},
		{"a DNS name", Credentials{Certificate: certificate(nil, "mia.example")}, noon, "users/mia", 0},
		{"a URI", Credentials{Certificate: certificate([]string{"spiffe://example/mia"})}, noon, "users/mia", 0},
		{"two that agree", Credentials{Certificate: certificate([]string{"hexbid:users/mia"}, "mia.example", "x")}, noon,
			"users/mia", 0},
		{"two that do not", Credentials{Certificate: certificate([]string{"hexbid:users/olga"}, "mia.example")}, noon, "",
			Conflicting},
		{"nobody's", Credentials{Certificate: certificate([]string{"hexbid:users/none"}, "none")}, noon, "", Unknown},
		{"a DNS name in the form of a URI", Credentials{Certificate: certificate(nil, "hexbid:users/olga")}, noon, "",
			Unknown},
		{"expired", Credentials{Certificate: certificate(nil, "mia.example")}, noon.Add(time.Hour), "", Expired},
		{"nobody's beside a key", Credentials{Certificate: certificate(nil, "none"), Bearer: o.texts["users/mia/keys/k"]},
			noon, "users/mia", 0},
		{"the same beside a key", Credentials{Certificate: certificate(nil, "mia.example"),
			Bearer: o.texts["users/mia/keys/k"]}, noon, "users/mia", 0},
		{"another's beside a key", Credentials{Certificate: certificate(nil, "mia.example"),
			Bearer: o.texts["users/olga/keys/k"]}, noon, "", Conflicting},
		{"good beside a bad key", Credentials{Certificate: certificate(nil, "mia.example"), Bearer: "hxb_"}, noon, "",
			Malformed},
	} {
		if owner, refusal := try(c.of, c.at); owner != c.owner || refusal != c.refuse {
			t.Errorf("%s: %q, %s", c.what, owner, refusal)
		}
	}
	other := hexbid.User{Meta: hexbid.Meta{Name: "users/mallory", UID: 50}, CertificateNames: []string{"mia.example"}}
	o.put(&other)
	if _, refusal := try(Credentials{Certificate: certificate(nil, "mia.example")}, noon); refusal != Conflicting {
		t.Errorf("a name that two claim: %s", refusal)
	}
	o.remove("users/mallory")
	if owner, _ := try(Credentials{Certificate: certificate(nil, "mia.example")}, noon); owner != "users/mia" {
		t.Errorf("after the second claim is gone: %q", owner)
	}
}

// TestADirectoryIsReadWhileItChanges is for the race detector, too.
func TestADirectoryIsReadWhileItChanges(t *testing.T) {
	o := openOffice(t)
	text := o.texts["clients/app/keys/k"]
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for range 2000 {
				if _, refusal := o.try(text, noon); refusal != NotRefused {
					t.Errorf("%s", refusal)
					return
				}
			}
		})
	}
	for i := range 500 {
		o.put(&hexbid.User{Meta: hexbid.Meta{Name: fmt.Sprintf("users/u%d", i%50), UID: hexbid.UID(100 + i)}})
	}
	group.Wait()
	if err := o.WaitFor(t.Context(), o.version); err != nil {
		t.Error(err)
	}
}

// TestAChangeCopiesLittle counts what a change of one key copies in a directory of many.
func TestAChangeCopiesLittle(t *testing.T) {
	o := openOffice(t)
	var all []hexbid.Resource
	for i := range 20_000 {
		_, id, hash := o.pepper.NewKey()
		all = append(all, &hexbid.Key{Meta: hexbid.Meta{Name: fmt.Sprintf("users/u/keys/%d", i), UID: hexbid.UID(i + 100)},
			CredentialID: id, SecretHash: hash})
	}
	o.Replace(1000, all)
	before := o.state.Load()
	o.put(all[7])
	after, copied := o.state.Load(), 0
	for i := range after.keys.shards {
		if fmt.Sprintf("%p", after.keys.shards[i]) != fmt.Sprintf("%p", before.keys.shards[i]) {
			copied += len(after.keys.shards[i])
		}
	}
	if copied == 0 || copied > len(all)/50 {
		t.Errorf("%d of %d keys were copied", copied, len(all))
	}
	if _, refusal := o.try(o.texts["users/olga/keys/k"], noon); refusal != Unknown {
		t.Errorf("a key that was replaced away: %s", refusal)
	}
}

func FuzzAuthenticate(f *testing.F) {
	o := openOffice(f)
	good := map[string]string{}
	for name, text := range o.texts {
		good[text] = strings.TrimSuffix(name, "/keys/k")
		f.Add(text)
		f.Add(text[:len(text)-1])
		f.Add("hxb_" + text)
	}
	f.Add("eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.")
	f.Fuzz(func(t *testing.T, bearer string) {
		p, refusal := o.Authenticate(t.Context(), Credentials{Bearer: bearer}, noon)
		if owner := good[bearer]; (refusal == NotRefused) != (owner != "") || p.Principal.ID != owner {
			t.Errorf("%q is %q, %s", bearer, p.Principal.ID, refusal)
		}
		if checksummed := appendChecksum([]byte(bearer)); len(bearer) == checksumAt {
			if p, refusal := o.Authenticate(t.Context(), Credentials{Bearer: string(checksummed)},
				noon); refusal == NotRefused && good[string(checksummed)] != p.Principal.ID {
				t.Errorf("%q is %q", checksummed, p.Principal.ID)
			}
		}
	})
}

func TestAuthenticatingAllocatesLittle(t *testing.T) {
	o := openOffice(t)
	c := Credentials{Bearer: o.texts["clients/app/keys/k"]}
	ctx := t.Context()
	if n := testing.AllocsPerRun(200, func() {
		if _, refusal := o.Authenticate(ctx, c, noon); refusal != NotRefused {
			t.Error(refusal)
		}
	}); n > 2 {
		t.Errorf("%v allocations", n)
	}
	p, _ := o.Authenticate(ctx, c, noon)
	if n := testing.AllocsPerRun(200, func() {
		if !o.InForce(&p, c, noon) {
			t.Error("no longer in force")
		}
		p.Touch(noon)
	}); n != 0 {
		t.Errorf("%v allocations for what is remembered", n)
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	o := openOffice(b)
	c := Credentials{Bearer: o.texts["clients/app/keys/k"]}
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, refusal := o.Authenticate(ctx, c, noon); refusal != NotRefused {
			b.Fatal(refusal)
		}
	}
}

func BenchmarkAuthenticateRemembered(b *testing.B) {
	o := openOffice(b)
	c := Credentials{Bearer: o.texts["clients/app/keys/k"]}
	p, _ := o.Authenticate(b.Context(), c, noon)
	b.ReportAllocs()
	for b.Loop() {
		if !o.InForce(&p, c, noon) {
			b.Fatal("no longer in force")
		}
	}
}

func BenchmarkAuthenticateNoise(b *testing.B) {
	o := openOffice(b)
	c := Credentials{Bearer: o.texts["clients/app/keys/k"][:KeyBytes-1] + "_"}
	for b.Loop() {
		if _, refusal := o.Authenticate(b.Context(), c, noon); refusal != Malformed {
			b.Fatal(refusal)
		}
	}
}
