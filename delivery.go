package hexbid

// Delivery is how a campaign's day goes against its plan, and why.
type Delivery struct {
	Status           DeliveryStatus
	LimitedBy        DeliveryLimit // why it is behind
	Planned          Money         // of its local date until now, by the plan that the day began with
	AheadPPM         int64         // spent and expected less Planned, of the day's budget; below 0 is behind
	PacingPPM        int64         // multiplies the bid
	ParticipationPPM int64         // the share of matching searches that it takes part in
	QualityPPM       int64         // the chance of a click once seen
	QualityLowPPM    int64         // with QualityHighPPM, an interval of 95 %
	QualityHighPPM   int64
	FilteredPPM      int64            // the share of today's events that were filtered
	Filtered         []FilteredEvents // why they were, the most frequent reason first
	CostPerClick     Money            // paid today on average, 0 before the first click
	Summary          string
}

// FilteredEvents counts filtered events by the rule that found them.
type FilteredEvents struct {
	Reason string // its name in metrics
	Events int64
}

// DeliveryStatus is where a day's spend is against its plan.
type DeliveryStatus uint8

// The states of a day; unspecified is not known.
const (
	DeliveryUnspecified DeliveryStatus = iota
	OnPlan                             // within two hundredths of the day's budget, more for a day of few events
	AheadOfPlan
	BehindPlan
	DayDone // its budget is spent
	DeliveryStatusCount
)

// DeliveryLimit is what keeps a campaign behind its plan.
type DeliveryLimit uint8

// The limits; unspecified is none, or not known.
const (
	LimitUnspecified DeliveryLimit = iota
	LimitDemand                    // too few searches from its area in its hours
	LimitBid                       // others outbid it, or it is below the reserve
	LimitCap                       // viewers have seen it as often as a cap allows
	LimitAudience                  // its audience leaves most viewers out
	DeliveryLimitCount
)
