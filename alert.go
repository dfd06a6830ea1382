package hexbid

import "time"

// AlertType is what an alert is about.
type AlertType uint8

// The types of alert.
const (
	AlertUnspecified AlertType = iota
	DailyBudgetAlert           // a campaign has spent a part of its daily budget
	TotalBudgetAlert           // a campaign has spent a part of its total budget
	BalanceAlert               // a prepaid advertiser's balance is low
	AlertTypeCount
)

var alertTypeNames = [AlertTypeCount]string{"unspecified", "daily_budget", "total_budget", "balance"}

// String returns the type's name in metrics and on the command line.
func (t AlertType) String() string { return nameIn(alertTypeNames[:], uint8(t)) }

// Alert is a threshold that a campaign's spend or an advertiser's balance has crossed.
type Alert struct {
	Type          AlertType
	Campaign      string // "" when it is about a balance
	CampaignUID   UID
	Advertiser    string
	AdvertiserUID UID
	ThresholdPPM  int64 // of Limit
	Amount        Money // spent, or left of a balance
	Limit         Money // the budget, or the balance after the last top-up
	LocalDate     Date  // of a daily budget
	RaisedAt      time.Time
	Cleared       bool
}
