package server

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

var (
	alice    = hexbid.Principal{Role: hexbid.Member, ID: "users/alice"}
	bob      = hexbid.Principal{Role: hexbid.Auditor, ID: "users/bob"}
	superapp = hexbid.Principal{Role: hexbid.Searcher, ID: "clients/superapp"}
	operator = hexbid.Principal{Role: hexbid.Operator, ID: "users/root"}
)

func exhausted(err error) bool { return err != nil && hexbid.KindOf(err) == hexbid.Exhausted }

func TestAUserMayMakeSoManyCallsPerSecond(t *testing.T) {
	now := time.Unix(1e9, 0)
	q := newQuotas(Quotas{User: hexbid.CallQuota{CallsPerSecond: 10}}, func() time.Time { return now })
	calls := func(p *hexbid.Principal) (made int) {
		for range 100 {
			err := q.enter(p)
			if err == nil {
				made++
				q.leave(p)
				continue
			}
			if e := err.(*hexbid.Error); e.Retry <= 0 || e.Retry > 100*time.Millisecond {
				t.Errorf("try again after %s", e.Retry)
			}
		}
		return made
	}
	if got := calls(&alice); got != 10 {
		t.Errorf("at once: %d calls", got)
	}
	if got := calls(&bob); got != 10 {
		t.Errorf("another user: %d calls", got)
	}
	now = now.Add(500 * time.Millisecond)
	if got := calls(&alice); got != 5 {
		t.Errorf("half a second later: %d calls", got)
	}
	now = now.Add(time.Hour)
	if got := calls(&alice); got != 10 {
		t.Errorf("an hour later: %d calls", got)
	}
	for _, p := range []*hexbid.Principal{&superapp, &operator} {
		if got := calls(p); got != 100 {
			t.Errorf("%s: %d calls", p, got)
		}
	}
}

func TestAClientMayHaveSoManyCallsOpen(t *testing.T) {
	now := time.Unix(1e9, 0)
	q := newQuotas(Quotas{Client: hexbid.CallQuota{InFlight: 2}}, func() time.Time { return now })
	for range 2 {
		if err := q.enter(&superapp); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.enter(&superapp); !exhausted(err) || !strings.Contains(err.Error(), "clients/superapp") {
		t.Errorf("%v", err)
	}
	q.leave(&superapp)
	if err := q.enter(&superapp); err != nil {
		t.Errorf("once one has ended: %v", err)
	}
}

func TestRowsAreCountedUntilMidnight(t *testing.T) {
	now := time.Unix(secondsADay*10_000+3600, 0)
	q := newQuotas(Quotas{User: hexbid.CallQuota{RowsPerDay: 100}}, func() time.Time { return now })
	if err := q.write(&alice, 60); err != nil {
		t.Fatal(err)
	}
	err := q.write(&alice, 60)
	if !exhausted(err) || err.(*hexbid.Error).Retry != 23*time.Hour || !strings.Contains(err.Error(), "60 are written") {
		t.Errorf("%v", err)
	}
	if err := q.write(&alice, 40); err != nil {
		t.Errorf("what is left: %v", err)
	}
	now = now.Add(23 * time.Hour)
	if err := q.write(&alice, 100); err != nil {
		t.Errorf("the next day: %v", err)
	}
}

func TestAccountsThatHoldNothingAreDropped(t *testing.T) {
	now := time.Unix(1e9, 0)
	q := newQuotas(Quotas{User: hexbid.CallQuota{CallsPerSecond: 10, RowsPerDay: 10}}, func() time.Time { return now })
	holds := hexbid.Principal{Role: hexbid.Member, ID: "users/holds"}
	if err := q.write(&holds, 10); err != nil {
		t.Fatal(err)
	}
	for i := range 3 * fewRemembered {
		p := hexbid.Principal{Role: hexbid.Member, ID: fmt.Sprintf("users/u%d", i)}
		now = now.Add(time.Millisecond)
		if err := q.enter(&p); err != nil {
			t.Fatal(err)
		}
		q.leave(&p)
	}
	if len(q.accounts.of) > fewRemembered {
		t.Errorf("%d accounts", len(q.accounts.of))
	}
	if err := q.write(&holds, 1); !exhausted(err) {
		t.Errorf("rows of today are forgotten: %v", err)
	}
}

// TestAccountsWithRowsOfTodayAreSeldomLookedAt has each of very many users write a row.
func TestAccountsWithRowsOfTodayAreSeldomLookedAt(t *testing.T) {
	now := time.Unix(1e9, 0)
	q := newQuotas(Quotas{User: hexbid.CallQuota{RowsPerDay: 10}}, func() time.Time { return now })
	write := func(day string, users int) {
		for i := range users {
			p := hexbid.Principal{Role: hexbid.Member, ID: fmt.Sprintf("users/%s%d", day, i)}
			if err := q.write(&p, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	const users = 8 * fewRemembered
	write("monday", users)
	if len(q.accounts.of) != users || q.accounts.looked > users {
		t.Errorf("%d accounts are kept, and %d were looked at for them", len(q.accounts.of), q.accounts.looked)
	}
	now = now.Add(24 * time.Hour)
	write("tuesday", fewRemembered)
	if n := len(q.accounts.of); n > fewRemembered {
		t.Errorf("%d accounts are kept on the next day", n)
	}
}

// TestRefusalsAreCountedByTheirQuota reads the metric, as operators do.
func TestRefusalsAreCountedByTheirQuota(t *testing.T) {
	s := serve(t, func(c *Config) {
		c.Quotas.User = hexbid.CallQuota{CallsPerSecond: 2, InFlight: 1, RowsPerDay: 3}
	})
	now := time.Unix(1e9, 0)
	q := s.quotas
	q.clock = func() time.Time { return now }
	enter := func(want bool) {
		t.Helper()
		if err := q.enter(&alice); exhausted(err) == want {
			t.Error(err)
		}
	}
	enter(true)
	enter(false) // one is open
	q.leave(&alice)
	enter(true)
	q.leave(&alice)
	enter(false) // two calls this second
	enter(false)
	for _, rows := range []int{2, 2, 9, 1, 1} { // the second, the third and the last are too many
		_ = q.write(&alice, rows)
	}
	families, err := s.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]float64{}
	for _, f := range families {
		for _, of := range f.GetMetric() {
			if f.GetName() == "hexbid_quota_refused_total" {
				counted[of.GetLabel()[0].GetValue()] = of.GetCounter().GetValue()
			}
		}
	}
	if want := map[string]float64{"calls": 2, "in_flight": 1, "rows": 3}; !maps.Equal(counted, want) {
		t.Errorf("%v", counted)
	}
}

func TestAQuotaIsToldWithWhenToTryAgain(t *testing.T) {
	s := serve(t, func(c *Config) { c.Quotas.User = hexbid.CallQuota{CallsPerSecond: 1_000, RowsPerDay: 2} })
	ctx := hexbid.WithPrincipal(t.Context(), alice)
	create := func(id string) error {
		return s.InProcess().Invoke(ctx, pb.CampaignService_CreateAdvertiser_FullMethodName,
			&pb.CreateAdvertiserRequest{AdvertiserId: id, Advertiser: &pb.Advertiser{DisplayName: "A"}}, new(pb.Advertiser))
	}
	for _, id := range []string{"a", "b"} { // whether or not the rights suffice
		if err := create(id); status.Code(err) == codes.ResourceExhausted {
			t.Fatal(err)
		}
	}
	err := create("c")
	var retry *errdetails.RetryInfo
	for _, detail := range status.Convert(err).Details() {
		if r, is := detail.(*errdetails.RetryInfo); is {
			retry = r
		}
	}
	if status.Code(err) != codes.ResourceExhausted || retry == nil || retry.GetRetryDelay().AsDuration() > 24*time.Hour ||
		!strings.Contains(err.Error(), "2 rows a day") {
		t.Errorf("%v, %v", err, retry)
	}
	stream, err := s.InProcess().NewStream(ctx, nil, pb.CampaignService_Import_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(advertisers("advertisers/a", 1)); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(new(pb.ImportResponse)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("an upload: %v", err)
	}
	waitUntil(t, "no call counts", func() bool {
		s.quotas.mu.Lock()
		defer s.quotas.mu.Unlock()
		return s.quotas.accounts.of[alice.ID].inFlight == 0
	})
}

func TestQuotasBelowZeroAreRefused(t *testing.T) {
	q := Quotas{Client: hexbid.CallQuota{InFlight: -1}}
	if err := q.Validate(); hexbid.KindOf(err) != hexbid.Invalid || err.(*hexbid.Error).Field != "client-in-flight" {
		t.Errorf("%v", err)
	}
}

// TestWhoWaitsAsLongAsARefusalSaysIsLetIn draws histories of calls and of quotas that operators change meanwhile.
func TestWhoWaitsAsLongAsARefusalSaysIsLetIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1e9, 0)
		q := newQuotas(Quotas{}, func() time.Time { return now })
		caller := hexbid.Principal{Role: hexbid.Member, ID: "users/u"}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			caller.Quota = &hexbid.CallQuota{InFlight: 10,
				CallsPerSecond: rapid.SampledFrom([]int32{0, 1, 3, 7, 1000, 999_999, 1_000_000}).Draw(t, "quota")}
			now = now.Add(time.Duration(rapid.Int64Range(0, 3e9).Draw(t, "passes")))
			for range rapid.IntRange(1, 20).Draw(t, "calls") {
				err := q.enter(&caller)
				if err == nil {
					q.leave(&caller)
					continue
				}
				retry := err.(*hexbid.Error).Retry
				if most := time.Second / time.Duration(caller.Quota.CallsPerSecond); retry <= 0 || retry > most+time.Millisecond {
					t.Fatalf("%d calls a second: try again in %s", caller.Quota.CallsPerSecond, retry)
				}
				if now = now.Add(retry); q.enter(&caller) != nil {
					t.Fatalf("%d calls a second: refused after the %s", caller.Quota.CallsPerSecond, retry)
				}
				q.leave(&caller)
			}
		}
	})
}

func TestMoreRowsThanADayHasAreNotPutOff(t *testing.T) {
	q := newQuotas(Quotas{User: hexbid.CallQuota{RowsPerDay: 10}}, time.Now)
	err := q.write(&alice, 11)
	if !exhausted(err) || err.(*hexbid.Error).Retry != 0 || !strings.Contains(err.Error(), "send fewer at once") {
		t.Errorf("%v", err)
	}
	if err := q.write(&alice, 10); err != nil {
		t.Errorf("what was refused counts: %v", err)
	}
}
