package gateway

import (
	"net/http"
	"net/http/pprof"

	"google.golang.org/grpc/codes"

	"github.com/hexbid/hexbid"
)

// profilePath begins the addresses of the program's profiles.
const profilePath = "/debug/pprof/"

// profiles are what operators may ask for, by the last part of its address: those of package runtime/pprof by their
// names, and what package net/http/pprof records for some seconds.
var profiles = map[string]http.HandlerFunc{"": pprof.Index, "profile": pprof.Profile, "trace": pprof.Trace,
	"allocs": pprof.Index, "block": pprof.Index, "goroutine": pprof.Index, "heap": pprof.Index, "mutex": pprof.Index,
	"threadcreate": pprof.Index}

// addProfiles adds handlers of the program's profiles. These are for operators alone: a profile slows the program down,
// and tells what it is at.
func addProfiles(own map[string]handler) {
	for name, write := range profiles {
		own["GET "+profilePath+name] = handler{answer: func(w http.ResponseWriter, r *http.Request) error {
			if hexbid.PrincipalOf(r.Context()).Role != hexbid.Operator {
				return refusal(http.StatusForbidden, codes.PermissionDenied, "", "profiles are for operators")
			}
			write(w, r)
			return nil
		}}
	}
}
