package exchange

import (
	"context"

	"github.com/hexbid/hexbid"
)

// Every exported method that reads or writes the market for a caller is a door. It
// takes the caller's context and asks admit first: this file is the one place that
// says who may do what. An Upload is admitted when it begins; its batches act for
// whom it was begun.
//
// The rule is short so far: whoever is named may do everything, and nobody nothing.

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
