package exchange

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/token"
)

// clientOf returns the client that a call is made for: the one whose credential it brings, or the one that a caller
// without a client's credential names.
func clientOf(ctx context.Context, named string) (id string, uid hexbid.UID) {
	p := hexbid.PrincipalOf(ctx)
	if p.Role != hexbid.Searcher {
		return named, 0
	}
	return strings.TrimPrefix(p.ID, "clients/"), p.UID
}

// namesCount is how long tokens that name their client by its own word count as those of the client that has the name.
const namesCount = 7 * 24 * time.Hour

// returner is who reports events.
type returner struct {
	id     string
	uid    hexbid.UID // 0 for a caller that only names itself
	others []hexbid.UID
	now    time.Time
}

func returnerOf(ctx context.Context, named string, now time.Time) returner {
	r := returner{now: now}
	r.id, r.uid = clientOf(ctx, named)
	if g := hexbid.PrincipalOf(ctx).Grants; g != nil {
		r.others = g.EventsOf
	}
	return r
}

// mayReturn reports whether an award's token is the returner's to return. A client returns the tokens that were given
// to it by uid, and those of the clients that it was granted. Tokens without a uid are of a time when callers named
// themselves.
func (r *returner) mayReturn(a *token.Award) bool {
	switch {
	case r.uid == 0:
		return a.ClientID == r.id
	case a.ClientUID == 0:
		return a.ClientID == r.id && r.now.Sub(a.IssuedAt) <= namesCount
	}
	return a.ClientUID == r.uid || slices.Contains(r.others, a.ClientUID)
}
