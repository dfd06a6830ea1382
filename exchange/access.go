package exchange

import (
	"context"

	"github.com/hexbid/hexbid"
)

// Every exported method that reads or writes the market for a caller is a door: it takes the caller's context and calls
// admit first. This file alone says who may do what. NewUpload admits an Upload; its batches then act for the caller
// who began it.
//
// The rule is short so far: a named principal may do everything, an unnamed one nothing.

// admit refuses a call whose principal has no rights. The error is of kind Denied.
func admit(ctx context.Context) error {
	switch caller := hexbid.PrincipalOf(ctx); caller.Role {
	case hexbid.Operator, hexbid.System:
		return nil
	default:
		return hexbid.Errorf(hexbid.Denied, "",
			"the call is made for %s, who may neither read nor change the market: call as a principal that has rights", caller)
	}
}
