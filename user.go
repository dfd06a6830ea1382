package hexbid

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// These constants bound what one user or client may list, and so the work of a change.
const (
	maxMemberships      = 200
	maxCertificateNames = 8
	maxIdentities       = 8
	maxEventsOf         = 64
	maxSubjectBytes     = 256
)

// User is a person or a program that works for the operator or for advertisers.
type User struct {
	Meta
	DisplayName string
	Role        Role // Operator, Auditor or Member
	Memberships []Membership
	// CertificateNames are names in client certificates that stand for the user.
	CertificateNames []string
	Identities       []Identity
	Suspended        bool // the user's credentials are refused
	Quota            CallQuota
}

// CallQuota bounds what one user or client may ask of a server. 0 stands for the server's default, and for no bound
// in a default.
type CallQuota struct {
	CallsPerSecond int32 // on average; as many may come at once
	InFlight       int32 // calls and streams open at once
	RowsPerDay     int64 // resources written between two midnights of UTC
}

// These constants bound the quotas.
const (
	maxCallQuota = 1_000_000
	maxRowsQuota = 1_000_000_000_000
)

func (q *CallQuota) validate(field string) error {
	return JoinErrors(checkRange(field+".calls_per_second", q.CallsPerSecond, 0, maxCallQuota),
		checkRange(field+".in_flight", q.InFlight, 0, maxCallQuota),
		checkRange(field+".rows_per_day", q.RowsPerDay, 0, maxRowsQuota))
}

// Or returns the quota with what it leaves open taken from a default.
func (q CallQuota) Or(otherwise CallQuota) CallQuota {
	return CallQuota{cmp.Or(q.CallsPerSecond, otherwise.CallsPerSecond), cmp.Or(q.InFlight, otherwise.InFlight),
		cmp.Or(q.RowsPerDay, otherwise.RowsPerDay)}
}

// Membership is a user's level at an advertiser.
type Membership struct {
	Advertiser string // resource name
	// UID is the advertiser's. A membership gives nothing at another advertiser that was made under the name later.
	UID   UID
	Level Level
}

// Identity is a user or a client as an OpenID provider names it.
type Identity struct{ Issuer, Subject string }

// Validate implements Resource.
func (u *User) Validate() error {
	errs := []error{
		checkText("user.display_name", u.DisplayName, 0, maxNameBytes),
		checkUserRole(u.Role),
		checkIdentities("user", u.CertificateNames, u.Identities),
		u.Quota.validate("user.quota"),
	}
	if u.Role == Operator && u.Quota != (CallQuota{}) {
		errs = append(errs, Invalidf("user.quota", "an operator has no quota: leave it out"))
	}
	if len(u.Memberships) > maxMemberships {
		errs = append(errs, Invalidf("user.memberships", "has %d entries: at most %d", len(u.Memberships), maxMemberships))
	}
	if len(u.Memberships) > 0 && u.Role != Member {
		errs = append(errs, Invalidf("user.memberships", "an %s has no memberships: leave them out", u.Role))
	}
	seen := map[string]bool{}
	for i := range u.Memberships {
		m, field := &u.Memberships[i], fmt.Sprintf("user.memberships[%d]", i)
		_, err := ParseNameOf(KindAdvertiser, field+".advertiser", m.Advertiser)
		errs = append(errs, err, checkEnum(field+".level", m.Level, LevelCount, false))
		if seen[m.Advertiser] {
			errs = append(errs, Invalidf(field+".advertiser", "%q is listed twice", Shorten(m.Advertiser)))
		}
		seen[m.Advertiser] = true
	}
	return JoinErrors(errs...)
}

func checkUserRole(r Role) error {
	if r == Operator || r == Auditor || r == Member {
		return nil
	}
	return Invalidf("user.role", "%s is no role of a user: choose %s, %s or %s", r, Operator, Auditor, Member)
}

// checkIdentities checks by what else than keys a user or a client may be known.
func checkIdentities(noun string, certificates []string, identities []Identity) error {
	errs := []error{checkTexts(noun+".certificate_names", certificates, maxCertificateNames, maxSubjectBytes)}
	for i, name := range certificates {
		if slices.Contains(certificates[:i], name) {
			errs = append(errs, Invalidf(fmt.Sprintf("%s.certificate_names[%d]", noun, i), "%q is listed twice",
				Shorten(name)))
		}
		if strings.HasPrefix(name, CertificateScheme) {
			errs = append(errs, Invalidf(fmt.Sprintf("%s.certificate_names[%d]", noun, i),
				"%q: a certificate's URI that begins with %q needs no mapping", Shorten(name), CertificateScheme))
		}
	}
	if len(identities) > maxIdentities {
		errs = append(errs, Invalidf(noun+".identities", "has %d entries: at most %d", len(identities), maxIdentities))
	}
	for i := range identities {
		field := fmt.Sprintf("%s.identities[%d]", noun, i)
		errs = append(errs, checkText(field+".issuer", identities[i].Issuer, 1, maxURIBytes),
			checkText(field+".subject", identities[i].Subject, 1, maxSubjectBytes))
		if slices.Contains(identities[:i], identities[i]) {
			errs = append(errs, Invalidf(field+".subject", "%q is listed twice", Shorten(identities[i].Subject)))
		}
	}
	return JoinErrors(errs...)
}

// CertificateScheme begins a URI in a client certificate that names a user or a client, as in "hexbid:users/alice".
const CertificateScheme = "hexbid:"
