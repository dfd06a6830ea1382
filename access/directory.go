package access

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hexbid/hexbid"
)

// Directory holds users, clients and keys as the store has them at one version. Readers load one pointer and take no
// lock. Whoever follows the store's feed keeps it up to date.
type Directory struct {
	pepper  *Pepper
	state   atomic.Pointer[state]
	version atomic.Uint64 // of the store; set after the state
	tokens  *tokens       // nil for none
	behind  atomic.Bool   // the store has changes that the directory lacks, or may have

	mu      sync.Mutex    // guards the field below, and admits one writer
	changed chan struct{} // closed at the next change; nil while nobody waits
}

// state is what a directory holds. It is immutable but for the last uses of its keys.
type state struct {
	keys    table[credentialID, *key]
	callers table[string, *caller]           // users and clients, by name
	clients table[string, *caller]           // clients, by the last part of their name
	names   table[string, []string]          // callers that a name in a certificate stands for
	people  table[hexbid.Identity, []string] // callers that an OpenID provider names so
}

// credentialID is the id in a key's text.
type credentialID [idBytes]byte

func idOf(text string) (id credentialID) {
	copy(id[:], text)
	return id
}

// key is a key in force, expired or not.
type key struct {
	name    string
	uid     hexbid.UID
	owner   string
	hash    [32]byte
	expires int64         // Unix nanoseconds; 0 for never
	used    *atomic.Int64 // Unix hour of the last use; 0 for none
}

// caller is a user or a client.
type caller struct {
	principal    hexbid.Principal // without origin and key
	suspended    bool
	certificates []string
	identities   []hexbid.Identity
}

// NewDirectory makes an empty directory. Keys are good if the pepper hashed them.
func NewDirectory(p *Pepper) *Directory {
	d := &Directory{pepper: p}
	d.state.Store(emptyState())
	return d
}

func emptyState() *state {
	return &state{keys: newTable[credentialID, *key](), callers: newTable[string, *caller](),
		clients: newTable[string, *caller](), names: newTable[string, []string](),
		people: newTable[hexbid.Identity, []string]()}
}

// Replace makes the directory hold the given resources and no others, as of a version of the store.
func (d *Directory) Replace(version uint64, all []hexbid.Resource) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := editOf(emptyState())
	before := d.state.Load()
	for _, r := range all {
		e.put(r, before)
	}
	d.publish(version, e.done())
}

// Apply brings the directory to a version of the store that differs by some resources. Resources that are no users,
// clients or keys change nothing.
func (d *Directory) Apply(version uint64, puts, deletes []hexbid.Resource) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.state.Load()
	if !anyIdentity(puts) && !anyIdentity(deletes) {
		d.publish(version, before)
		return
	}
	e := editOf(before)
	for _, r := range deletes {
		e.remove(r)
	}
	for _, r := range puts {
		e.put(r, before)
	}
	d.publish(version, e.done())
}

func anyIdentity(all []hexbid.Resource) bool { return slices.ContainsFunc(all, isIdentity) }

func isIdentity(r hexbid.Resource) bool {
	switch r.(type) {
	case *hexbid.User, *hexbid.Client, *hexbid.Key:
		return true
	}
	return false
}

// publish replaces the state and wakes those who wait. The caller holds mu.
func (d *Directory) publish(version uint64, next *state) {
	d.state.Store(next)
	d.version.Store(version)
	if d.changed != nil {
		close(d.changed)
		d.changed = nil
	}
}

// WaitFor returns when the directory has a version, or with the context.
func (d *Directory) WaitFor(ctx context.Context, version uint64) error {
	for {
		d.mu.Lock()
		if d.version.Load() >= version {
			d.mu.Unlock()
			return nil
		}
		if d.changed == nil {
			d.changed = make(chan struct{})
		}
		changed := d.changed
		d.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// RendersOnly reports whether the client with the last part of its name reports an impression as soon as it is drawn.
func (d *Directory) RendersOnly(client string) bool {
	c := d.state.Load().clients.get(client)
	return c != nil && c.principal.Grants.RendersOnly
}

// Version returns the version of the store that the directory has.
func (d *Directory) Version() uint64 { return d.version.Load() }

// SetBehind says whether the directory lags behind the store for longer than a revocation may take. While it does, it
// refuses every credential, because any may have been revoked.
func (d *Directory) SetBehind(behind bool) { d.behind.Store(behind) }

// Behind returns what SetBehind was told last.
func (d *Directory) Behind() bool { return d.behind.Load() }

// Principal returns a user or a client as a caller. It is false for one that is not there, or is suspended.
func (d *Directory) Principal(name string) (hexbid.Principal, bool) {
	c := d.state.Load().callers.get(name)
	if c == nil || c.suspended {
		return hexbid.Principal{}, false
	}
	return c.principal, true
}

// Aliases tells whom aliases stand for, as of one moment.
type Aliases struct{ of *state }

// Aliases returns whom aliases stand for at present. What it returns does not change.
func (d *Directory) Aliases() Aliases { return Aliases{d.state.Load()} }

// HoldersOfName returns the users and clients that a name in certificates stands for.
func (a Aliases) HoldersOfName(name string) []string { return a.of.names.get(name) }

// HoldersOfIdentity returns the users and clients that an OpenID provider's subject stands for.
func (a Aliases) HoldersOfIdentity(i hexbid.Identity) []string { return a.of.people.get(i) }

// HasOperator reports whether a user is an operator.
func (d *Directory) HasOperator() bool {
	s := d.state.Load()
	for i := range s.callers.shards {
		for _, c := range s.callers.shards[i] {
			if c.principal.Role == hexbid.Operator {
				return true
			}
		}
	}
	return false
}

// LastUse returns the Unix hour in which a key was last used, 0 when that is not known.
func (d *Directory) LastUse(k *hexbid.Key) int64 {
	if found := d.state.Load().keys.get(idOf(k.CredentialID)); found != nil && found.uid == k.UID {
		return found.used.Load()
	}
	return 0
}

// Uses returns the Unix hour of the last use of every key that was used, by uid.
func (d *Directory) Uses() map[hexbid.UID]int64 {
	uses, s := map[hexbid.UID]int64{}, d.state.Load()
	for i := range s.keys.shards {
		for _, k := range s.keys.shards[i] {
			if hour := k.used.Load(); hour > 0 {
				uses[k.uid] = hour
			}
		}
	}
	return uses
}

// RememberUses hands in what Uses returned earlier.
func (d *Directory) RememberUses(uses map[hexbid.UID]int64) {
	s := d.state.Load()
	for i := range s.keys.shards {
		for _, k := range s.keys.shards[i] {
			if hour := uses[k.uid]; hour > k.used.Load() {
				k.used.Store(hour)
			}
		}
	}
}
