package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

type alertsCommand struct {
	Parent      string `arg:"" optional:"" help:"Only of this advertiser: advertisers/{a}."`
	Once        bool   `help:"Print what is in force now, and end."`
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// Run prints alerts, each as a line, until it is interrupted.
func (c *alertsCommand) Run(s *session) error {
	return c.follow(s, func(ctx context.Context, conn *client) error {
		stream, err := conn.ledger.WatchAlerts(ctx, &pb.WatchAlertsRequest{Parent: parentOf(c.Parent)})
		if err != nil {
			return err
		}
		for told, caughtUp := 0, false; ; {
			response, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return errors.New("the server has ended the watch")
			}
			if err != nil {
				return err
			}
			if response.GetRestarted() {
				caughtUp = false
				fmt.Fprintln(s.Stderr, "hexbid: some alerts were missed; those in force follow again")
			}
			for _, a := range response.GetAlerts() {
				if err := c.print(s, a); err != nil {
					return err
				}
			}
			told += len(response.GetAlerts())
			if caughtUp = caughtUp || response.GetCaughtUp(); caughtUp && c.Once {
				if told == 0 {
					fmt.Fprintln(s.Stderr, "hexbid: no budget or balance runs low")
				}
				return nil
			}
		}
	})
}

// parentOf names an advertiser by the last part of its name too; "" stays for all.
func parentOf(advertiser string) string {
	if advertiser == "" {
		return ""
	}
	return named("advertisers", advertiser)
}

func (c *alertsCommand) print(s *session, a *pb.Alert) error {
	if c.Output == "json" {
		return printLine(s.Stdout, a)
	}
	_, err := fmt.Fprintln(s.Stdout, alertLine(a))
	return err
}

// alertLine says an alert in one line.
func alertLine(a *pb.Alert) string {
	line := when(a.GetRaiseTime().AsTime()) + "  "
	amount, limit, part := money(a.GetAmountMicros()), money(a.GetLimitMicros()), percent(a.GetThresholdPpm())
	switch a.GetType() {
	case pb.AlertType_ALERT_TYPE_DAILY_BUDGET:
		line += fmt.Sprintf("%s has spent %s of its budget for %s: %s of %s", a.GetCampaign(), part, a.GetLocalDate(), amount,
			limit)
	case pb.AlertType_ALERT_TYPE_TOTAL_BUDGET:
		line += fmt.Sprintf("%s has spent %s of its total budget: %s of %s", a.GetCampaign(), part, amount, limit)
	case pb.AlertType_ALERT_TYPE_BALANCE:
		line += fmt.Sprintf("%s has %s of its balance left: %s of %s", a.GetAdvertiser(), part, amount, limit)
	default:
		line += fmt.Sprintf("%s%s: alert %d", a.GetCampaign(), a.GetAdvertiser(), a.GetType())
	}
	if a.GetCleared() {
		line += " (over)"
	}
	return line
}
