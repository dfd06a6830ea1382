package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// marketCommand groups the commands about the rules of the auction.
type marketCommand struct {
	Get      marketGetCommand      `cmd:"" help:"Show the rules of the auction, as a file that update takes."`
	Validate marketValidateCommand `cmd:"" help:"Check a file of rules, and say from a sample of the last hour's auctions what it would change."`
	Update   marketUpdateCommand   `cmd:"" help:"Put a file of rules into force. Fields that the file does not name stay."`
	Edit     marketEditCommand     `cmd:"" help:"Edit the rules in $EDITOR and put them into force."`
}

// priorsTake is how long new priors may take to come into force.
const priorsTake = 2 * time.Minute

// marketFields are the fields that a file of the market may have.
var marketFields = resourceFields((&pb.Market{}).ProtoReflect().Descriptor())

type marketGetCommand struct {
	Output      string `short:"o" help:"yaml, or json for programs." enum:"yaml,json" default:"yaml"`
	clientFlags `embed:""`
}

// Run shows the market.
func (c *marketGetCommand) Run(s *session) error {
	return c.call(s, func(ctx context.Context, conn *client) error {
		m, err := conn.market.GetMarket(ctx, &pb.GetMarketRequest{Name: hexbid.MarketName})
		if err != nil {
			return err
		}
		if c.Output == "json" {
			return printJSON(s, m)
		}
		text, err := marketDocument(m)
		if err == nil {
			_, err = s.Stdout.Write(text)
		}
		return err
	})
}

// marketDocument writes the market as a file: remarks on what is in force, the etag, and the fields.
func marketDocument(m *pb.Market) ([]byte, error) {
	var text bytes.Buffer
	now := m.GetInForce()
	fmt.Fprintf(&text, "# Version %d is in force", now.GetVersion())
	if now.GetSince() != nil {
		fmt.Fprintf(&text, " since %s", now.GetSince().AsTime().Format("2006-01-02 15:04:05 UTC"))
	}
	text.WriteString(".\n")
	if len(m.GetPositionFactors()) == 0 {
		fmt.Fprintf(&text, "# Position factors are learned: %v at present.\n", now.GetPositionFactors())
	}
	if m.GetDistance() == nil {
		text.WriteString("# Factors of distance are learned.\n")
	}
	if len(m.GetReserves()) == 0 {
		text.WriteString("# There are no reserves. One looks as follows, and every key but the last may be left out:\n" +
			"# reserves: [{host: alipay, scene: feed, category: finance, region: \"330100\", per_thousand: 12.50}]\n")
	}
	for _, setting := range m.GetSettingsNotTaken() {
		fmt.Fprintf(&text, "# The server was started with a setting that is not taken: %s\n", setting)
	}
	mapping := &yaml.Node{Kind: yaml.MappingNode}
	put(mapping, "etag", textNode(m.GetEtag()))
	marketFields.put(mapping, m.ProtoReflect())
	if d := m.GetDistance(); d != nil && len(d.GetFactors()) == 0 {
		put(mapping, "distance", &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle})
	}
	fields, err := yaml.Marshal(mapping)
	text.Write(fields)
	return text.Bytes(), err
}

// readMarket reads a file of the market into the request that updates the fields it names.
func readMarket(text []byte) (*pb.UpdateMarketRequest, error) {
	var file yaml.Node
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	r := &pb.UpdateMarketRequest{Market: &pb.Market{Name: hexbid.MarketName}, UpdateMask: &fieldmaskpb.FieldMask{}}
	if len(file.Content) == 0 || file.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("the file has no fields: hexbid market get shows them")
	}
	mapping, fields := file.Content[0], yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i].Value, mapping.Content[i+1]
		switch path := marketPath(key); {
		case key == "etag":
			r.Market.Etag = value.Value
			continue
		case path == "distance" && value.Kind == yaml.MappingNode:
			r.Market.Distance = &pb.DistanceTable{} // even if it is empty: then distance does not count
			fallthrough
		case path != "" && !slices.Contains(r.UpdateMask.Paths, path):
			r.UpdateMask.Paths = append(r.UpdateMask.Paths, path)
		}
		fields.Content = append(fields.Content, mapping.Content[i], value)
	}
	if len(r.UpdateMask.Paths) == 0 && len(fields.Content) == 0 {
		return nil, errors.New("the file has no fields: hexbid market get shows them")
	}
	return r, marketFields.read(r.Market.ProtoReflect(), &fields, "", map[string]bool{}, "")
}

// marketPath returns the field of the contract that a key of a file belongs to, "" for none.
func marketPath(key string) string {
	key, _, _ = strings.Cut(key, ".")
	fields := (&pb.Market{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); fileName(f) == key || inSingular(fileName(f)) == key {
			return string(f.Name())
		}
	}
	return ""
}

// marketFile is a file of rules, from the command line.
type marketFile struct {
	File string `arg:"" help:"File of rules, as hexbid market get writes it; - for standard input."`
}

func (f *marketFile) read(s *session) (*pb.UpdateMarketRequest, error) {
	text, err := os.ReadFile(f.File)
	if f.File == "-" {
		text, err = io.ReadAll(s.Stdin)
	}
	if err != nil {
		return nil, err
	}
	r, err := readMarket(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.File, err)
	}
	return r, nil
}

type marketValidateCommand struct {
	marketFile  `embed:""`
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// Help says more than the line of the command.
func (marketValidateCommand) Help() string {
	return `The server checks the file as an update would, and changes nothing: what validate refuses, update refuses too.
An etag in the file is the version that the file was made of. Once somebody else has changed the market, it is old, and
both commands say so. "hexbid market get" then shows the market as it is now. Take its etag over to try your file
against that, or leave the etag out, and the fields that your file names replace whatever is there.`
}

// Run checks a file and prints the forecast.
func (c *marketValidateCommand) Run(s *session) error {
	r, err := c.read(s)
	if err != nil {
		return err
	}
	r.ValidateOnly = true
	return c.call(s, func(ctx context.Context, conn *client) error {
		m, err := conn.market.UpdateMarket(ctx, r)
		if err != nil {
			return explainStale(err)
		}
		if c.Output == "json" {
			return printJSON(s, m.GetForecast())
		}
		printForecast(s.Stdout, m.GetForecast())
		return nil
	})
}

// explainStale says what to do about an etag that is old, and returns other errors as they are.
func explainStale(err error) error {
	if status.Code(err) != codes.Aborted {
		return err
	}
	return fmt.Errorf("%s\nSomebody has changed the market since the rules were read. \"hexbid market get\" shows it as "+
		"it is now, and \"hexbid history market\" who changed what.\nTake the new etag over if your rules still hold "+
		"beside that change, or leave the etag out to replace whatever is there", explainError(err))
}

// printForecast writes a forecast in words.
func printForecast(w io.Writer, f *pb.MarketForecast) {
	fmt.Fprintf(w, "The file is valid. By %d of %d auctions of the last hour:\n", f.GetSampledAuctions(), f.GetAuctions())
	fmt.Fprintf(w, "  %s of winners would fall below the reserve\n", percent(f.GetBelowReservePpm()))
	fmt.Fprintf(w, "  %s of slots would go to another campaign or to none\n", percent(f.GetChangedPpm()))
	fmt.Fprintf(w, "  slots won: %d instead of %d\n", f.GetWinnersAfter(), f.GetWinnersBefore())
	before, after := hexbid.Money(f.GetRevenueBeforeMicros()), hexbid.Money(f.GetRevenueAfterMicros())
	fmt.Fprintf(w, "  expected revenue: %s instead of %s\n", after, before)
	fmt.Fprintf(w, "  active campaigns below the least bid: %d by click, %d by impression; they stay\n",
		f.GetBelowMinimumCpc(), f.GetBelowMinimumCpm())
	for _, notice := range f.GetNotices() {
		fmt.Fprintf(w, "Note: %s.\n", notice)
	}
}

type marketUpdateCommand struct {
	marketFile  `embed:""`
	clientFlags `embed:""`
}

// Help says more than the line of the command.
func (marketUpdateCommand) Help() string {
	return `Changes the fields that the file names and leaves the others. With an etag in the file, as "hexbid market get"
writes it, the update is refused if somebody else has changed the market since; without one it always counts. Rules are
in force when the command returns: at once, or with priors that rise as soon as all campaigns can follow together.`
}

// Run puts a file of rules into force.
func (c *marketUpdateCommand) Run(s *session) error {
	r, err := c.read(s)
	if err != nil {
		return err
	}
	return c.updateMarket(s, r)
}

// updateMarket puts rules into force. It waits as long as new priors may take.
func (f *clientFlags) updateMarket(s *session, r *pb.UpdateMarketRequest) error {
	f.Timeout = max(f.Timeout, priorsTake)
	return f.call(s, func(ctx context.Context, conn *client) error {
		m, err := conn.market.UpdateMarket(ctx, r)
		if err != nil {
			return explainStale(err)
		}
		_, err = fmt.Fprintf(s.Stderr, "version %d of the market is in force\n", m.GetInForce().GetVersion())
		return err
	})
}

type marketEditCommand struct {
	Editor      string `help:"Program to edit with." env:"EDITOR" default:"vi"`
	clientFlags `embed:""`
}

// Run has the rules edited, and puts them into force if they have changed. If that fails, the file stays.
func (c *marketEditCommand) Run(s *session) error {
	var before []byte
	if err := c.call(s, func(ctx context.Context, conn *client) error {
		m, err := conn.market.GetMarket(ctx, &pb.GetMarketRequest{Name: hexbid.MarketName})
		if err == nil {
			before, err = marketDocument(m)
		}
		return err
	}); err != nil {
		return err
	}
	file, after, err := edited(s, c.Editor, before)
	if err != nil {
		return err
	}
	if bytes.Equal(before, after) {
		fmt.Fprintln(s.Stderr, "nothing has changed")
		return os.Remove(file)
	}
	r, err := readMarket(after)
	if err == nil {
		r.UpdateMask = &fieldmaskpb.FieldMask{Paths: []string{"*"}} // a field that was deleted is to go
		err = c.updateMarket(s, r)
	}
	if err != nil {
		return fmt.Errorf("%s (the edited rules are in %s)", explainError(err), file)
	}
	return os.Remove(file)
}

// edited has a text edited in a file of its own, and returns the file with its text. If the editor fails, the file
// stays and the error names it.
func edited(s *session, editor string, text []byte) (file string, after []byte, err error) {
	words := strings.Fields(editor)
	if len(words) == 0 {
		return "", nil, errors.New("no editor: set EDITOR")
	}
	f, err := os.CreateTemp("", "hexbid-market-*.yaml")
	if err != nil {
		return "", nil, err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", nil, err
	}
	run := exec.CommandContext(s.ctx, words[0], append(words[1:], f.Name())...)
	run.Stdin, run.Stdout, run.Stderr = os.Stdin, s.Stdout, s.Stderr
	if err := run.Run(); err != nil {
		return "", nil, fmt.Errorf("%s: %w (the rules are in %s)", editor, err, f.Name())
	}
	after, err = os.ReadFile(f.Name())
	return f.Name(), after, err
}
