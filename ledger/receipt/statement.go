package receipt

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// Month is a month of the calendar.
type Month struct {
	Year  int
	Month time.Month
}

// ParseMonth reads a month as in 2026-11.
func ParseMonth(text string) (Month, error) {
	t, err := time.Parse("2006-01", text)
	if err != nil || t.Year() < 1970 {
		return Month{}, hexbid.Invalidf("month", "%.40q is not a month: write one as in 2026-11, from 1970 on", text)
	}
	return Month{t.Year(), t.Month()}, nil
}

// String writes the month as in 2026-11.
func (m Month) String() string { return fmt.Sprintf("%04d-%02d", m.Year, m.Month) }

// dates returns the first date of the month and of the next one.
func (m Month) dates() (first, next hexbid.Date) {
	return firstOf(m.Year, m.Month), firstOf(m.Year, m.Month+1)
}

func firstOf(year int, month time.Month) hexbid.Date {
	return hexbid.Date(time.Date(year, month, 1, 0, 0, 0, 0, time.UTC).Unix() / (24 * secondsAnHour))
}

// Statement is an advertiser's account of a month, net of tax. Dates are those of the deployment's zone, so opening
// plus top-ups and credits less withdrawals and charges is closing, and the closing of a month is the opening of the
// next, to the micro.
type Statement struct {
	Advertiser       hexbid.UID
	Name             string // the present one, or the last
	Month            Month
	Opening          hexbid.Money // below 0 a postpaid advertiser owes as much
	ToppedUp         hexbid.Money
	Withdrawn        hexbid.Money
	Charged          hexbid.Money
	Credited         hexbid.Money
	Closing          hexbid.Money
	Lines            []Line // in order of date: movements, then charges by campaign; at most MaxLines
	OmittedLines     int
	Campaigns        []CampaignMonth // those that were charged or credited, in order of uid; at most MaxLines
	OmittedCampaigns int
	AsOf             uint64 // the last record that the statement includes
}

// MaxLines is the most lines, and the most campaigns, of a statement. Its sums include what it omits.
const MaxLines = 10_000

// Line is a movement, or what a campaign was charged on one day.
type Line struct {
	Date      hexbid.Date
	Type      hexbid.MovementType // unspecified for charges
	Amount    hexbid.Money        // what it adds to the balance; below 0 for what it takes
	Campaign  hexbid.UID          // of charges and credits
	RequestID string              // of a movement
	Note      string              // of a movement
	Sequence  uint64              // of a movement's record
}

// CampaignMonth is what a campaign was charged and credited in a month.
type CampaignMonth struct {
	Campaign          hexbid.UID
	Name              string // the present one, or the last
	Charged, Credited hexbid.Money
}

// ReadStatement returns an advertiser's statement of a month; deleted advertisers and campaigns have theirs too.
// NotFound: there never was such an advertiser. DataLoss: the rows contradict each other.
func ReadStatement(v journal.View, advertiser hexbid.UID, month Month) (*Statement, error) {
	name, err := v.Get(journal.Members, fold.MemberKey(advertiser, 0))
	if err != nil {
		return nil, err
	}
	if name == nil {
		return nil, hexbid.Errorf(hexbid.NotFound, "uid", "the ledger has no advertiser %d", advertiser)
	}
	r := statementReader{view: v, campaigns: map[hexbid.UID]*CampaignMonth{}, Statement: Statement{
		Advertiser: advertiser, Name: string(name), Month: month, AsOf: v.Last()}}
	if err := r.read(); err != nil {
		return nil, err
	}
	return &r.Statement, nil
}

// statementReader adds up a statement.
type statementReader struct {
	Statement
	view      journal.View
	campaigns map[hexbid.UID]*CampaignMonth
	posted    fold.AdvertiserTotals // what movements and rows of campaigns say; the advertiser's own rows must agree
}

func (r *statementReader) read() (err error) {
	first, next := r.Month.dates()
	if r.Opening, err = r.standingBefore(first); err != nil {
		return err
	}
	r.Closing = r.Opening
	err = r.view.Scan(journal.AdvertiserDays, fold.DayKey(r.Advertiser, int32(first)), fold.DayKey(r.Advertiser,
		int32(next)),
		func(key, value []byte) (bool, error) { return true, r.row(key, value) })
	if err != nil {
		return err
	}
	return r.finish()
}

// standingBefore returns what the advertiser had, less what it owed, at the end of the last date before one.
func (r *statementReader) standingBefore(date hexbid.Date) (standing hexbid.Money, err error) {
	err = r.view.ScanBack(journal.AdvertiserDays, fold.DayKey(r.Advertiser, 0), fold.DayKey(r.Advertiser, int32(date)),
		func(key, value []byte) (bool, error) {
			totals, err := r.ownRow(key, value)
			standing = totals.Balance - totals.Owed
			return false, err
		})
	return standing, err
}

// ownRow returns the advertiser's own row of the date of a row, which may be that of a campaign.
func (r *statementReader) ownRow(key, value []byte) (fold.AdvertiserTotals, error) {
	if len(key) > dayKeyBytes {
		own, err := r.view.Get(journal.AdvertiserDays, key[:dayKeyBytes])
		if err != nil {
			return fold.AdvertiserTotals{}, err
		}
		value = own
	}
	return fold.DecodeAdvertiserTotals(value)
}

// dayKeyBytes is the length of the key of an advertiser's own row of a date. Those of its campaigns are longer.
const dayKeyBytes = 12

// row takes in a row of journal.AdvertiserDays. The advertiser's own row of a date comes before those of its campaigns.
func (r *statementReader) row(key, value []byte) error {
	totals, err := fold.DecodeAdvertiserTotals(value)
	if err != nil {
		return err
	}
	date := hexbid.Date(binary.BigEndian.Uint32(key[8:]))
	if len(key) > dayKeyBytes {
		r.campaign(date, hexbid.UID(binary.BigEndian.Uint64(key[dayKeyBytes:])), totals)
		return nil
	}
	r.ToppedUp += totals.ToppedUp
	r.Withdrawn += totals.Withdrawn
	r.Charged += totals.Charged
	r.Credited += totals.Credited
	r.Closing += totals.ToppedUp - totals.Withdrawn - totals.Charged + totals.Credited
	if standing := totals.Balance - totals.Owed; standing != r.Closing {
		return damaged(nil, "advertiser %d stands at %d micros after %s, and movements and charges add up to %d",
			r.Advertiser, standing, date, r.Closing)
	}
	return r.movements(date)
}

func (r *statementReader) campaign(date hexbid.Date, uid hexbid.UID, totals fold.AdvertiserTotals) {
	month := r.campaigns[uid]
	if month == nil {
		month = &CampaignMonth{Campaign: uid}
		r.campaigns[uid] = month
	}
	month.Charged += totals.Charged
	month.Credited += totals.Credited
	r.posted.Charged += totals.Charged
	if totals.Charged != 0 {
		r.line(Line{Date: date, Amount: -totals.Charged, Campaign: uid})
	}
}

func (r *statementReader) line(l Line) {
	if len(r.Lines) == MaxLines {
		r.OmittedLines++
		return
	}
	r.Lines = append(r.Lines, l)
}

// movements adds the movements and credits of a date.
func (r *statementReader) movements(date hexbid.Date) error {
	from, to := fold.MovementKey(r.Advertiser, int32(date), 0), fold.MovementKey(r.Advertiser, int32(date)+1, 0)
	return r.view.Scan(journal.Movements, from, to, func(key, _ []byte) (bool, error) {
		sequence := binary.BigEndian.Uint64(key[dayKeyBytes:])
		record, _, err := readRecord(r.view, sequence)
		if err != nil {
			return false, err
		}
		line, ok := r.movement(record)
		if !ok {
			return false, damaged(nil, "record %d is not the movement that advertiser %d lists", sequence, r.Advertiser)
		}
		line.Date, line.Sequence = date, sequence
		r.line(line)
		return true, nil
	})
}

// movement turns a record into a line, and adds it up.
func (r *statementReader) movement(record *fold.Record) (Line, bool) {
	if credit, ok := bodyOf[*fold.Credit](record); ok {
		r.posted.Credited += credit.Amount
		return Line{Type: hexbid.Credit, Amount: credit.Amount, Campaign: credit.Campaign, RequestID: credit.RequestID,
			Note: credit.Note}, credit.Advertiser == r.Advertiser
	}
	m, ok := bodyOf[*fold.Movement](record)
	if !ok || m.Advertiser != r.Advertiser {
		return Line{}, false
	}
	line := Line{RequestID: m.RequestID, Note: m.Note}
	switch m.What {
	case fold.TopUp:
		line.Type, line.Amount = hexbid.TopUp, m.Amount
		r.posted.ToppedUp += m.Amount
	case fold.Withdrawal:
		line.Type, line.Amount = hexbid.Withdrawal, -m.Amount
		r.posted.Withdrawn += m.Amount
	case fold.ToPrepaid:
		line.Type = hexbid.ToPrepaid
	case fold.ToPostpaid:
		line.Type = hexbid.ToPostpaid
	}
	return line, true
}

// finish compares the sums that come from two sides, and names the campaigns.
func (r *statementReader) finish() error {
	own := fold.AdvertiserTotals{Charged: r.Charged, Credited: r.Credited, ToppedUp: r.ToppedUp, Withdrawn: r.Withdrawn}
	if own != r.posted {
		return damaged(nil, "advertiser %d in %s: its days say %+v, its campaigns and movements %+v", r.Advertiser,
			r.Month,
			own, r.posted)
	}
	for _, uid := range slices.Sorted(maps.Keys(r.campaigns)) {
		if len(r.Campaigns) == MaxLines {
			r.OmittedCampaigns++
			continue
		}
		name, err := r.view.Get(journal.Members, fold.MemberKey(r.Advertiser, uid))
		if err != nil {
			return err
		}
		r.campaigns[uid].Name = string(name)
		r.Campaigns = append(r.Campaigns, *r.campaigns[uid])
	}
	return nil
}
