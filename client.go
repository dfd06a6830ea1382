package hexbid

import "fmt"

// Client is a program that searches and reports events, such as the back end of a super-app.
type Client struct {
	Meta
	DisplayName string
	// SeesPrices and SeesCampaigns admit the client to what a sponsored result costs, and to whose it is.
	SeesPrices, SeesCampaigns bool
	// RendersOnly says that the client reports an impression as soon as it is drawn, whether or not anybody saw it.
	RendersOnly bool
	// EventsOf are other clients whose tokens the client may return.
	EventsOf         []ClientGrant
	CertificateNames []string
	Identities       []Identity
	Suspended        bool // the client's credentials are refused
	Quota            CallQuota
}

// ClientGrant names a client whose tokens another one may return.
type ClientGrant struct {
	Client string // resource name
	// UID is the client's. A grant means nothing for another client that was made under the name later.
	UID UID
}

// Validate implements Resource.
func (c *Client) Validate() error {
	errs := []error{
		checkText("client.display_name", c.DisplayName, 0, maxNameBytes),
		checkIdentities("client", c.CertificateNames, c.Identities),
		c.Quota.validate("client.quota"),
	}
	if len(c.EventsOf) > maxEventsOf {
		errs = append(errs, Invalidf("client.events_of", "has %d entries: at most %d", len(c.EventsOf), maxEventsOf))
	}
	for i := range c.EventsOf {
		_, err := ParseNameOf(KindClient, fmt.Sprintf("client.events_of[%d].client", i), c.EventsOf[i].Client)
		errs = append(errs, err)
	}
	return JoinErrors(errs...)
}
