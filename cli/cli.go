// Package cli is the command line. It parses flags, speaks the wire contract to a server as any client would, and reads
// and writes the file formats. Package cmd/hexbid adds the commands that work on the server's own machine.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/term"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Env is the environment of a run: its streams, and what the program adds.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Version is the version of the program.
	Version string
	// Commands are the commands that the program adds to those of a client. Each is a pointer to a struct of kong
	// commands, whose Run may take a context.Context and an Env.
	Commands []any
	// LedgerCommands and ReceiptCommands are those that it adds to the groups "ledger" and "receipt".
	LedgerCommands, ReceiptCommands []any
}

// commands are the sub-commands. kong reads their tags.
type commands struct {
	Config kong.ConfigFlag `help:"YAML file with the same names as the flags; flags and environment win." placeholder:"FILE"`

	Added kong.Plugins `embed:""`

	Apply    applyCommand           `cmd:"" help:"Create or replace advertisers, programs, places and campaigns from files."`
	Get      getCommand             `cmd:"" help:"Show one resource by name, or list those of a kind."`
	Delete   deleteCommand          `cmd:"" help:"Delete resources, and with --cascade what needs them."`
	Approve  approveCommand         `cmd:"" help:"Approve places that are in review, or hide them."`
	Regions  regionsCommand         `cmd:"" help:"List the provinces and prefectures that campaigns can name, by adcode or words."`
	Search   searchCommand          `cmd:"" help:"Search the mini-programs around a point."`
	Explain  explainCommand         `cmd:"" help:"Say why a campaign shows or does not."`
	Events   eventsCommand          `cmd:"" help:"Report what happened to sponsored results: impressions, clicks, conversions, claims."`
	Top      topCommand             `cmd:"" help:"Watch spend, fill and price by campaign."`
	Alerts   alertsCommand          `cmd:"" help:"Watch budgets and balances that run low."`
	Ledger   ledgerCommand          `cmd:"" help:"Read and move money: spend, statements, charges, balances."`
	Receipt  receiptCommand         `cmd:"" help:"Prove a charge."`
	Viewers  viewersCommand         `cmd:"" help:"Erase what a server knows of a viewer."`
	Login    loginCommand           `cmd:"" help:"Keep a key for a server, which is read from standard input, from --key-file or from --server-data, and never from a flag."`
	Contexts contextsCommand        `cmd:"" help:"Choose among the servers that you have logged in at."`
	Whoami   whoamiCommand          `cmd:"" help:"Say for whom the server takes you."`
	Users    usersCommand           `cmd:"" help:"Say who works for the operator and for advertisers."`
	Clients  clientsCommand         `cmd:"" help:"Say which programs search and report events."`
	Keys     keysCommand            `cmd:"" help:"Issue, list, revoke and rotate keys."`
	Quota    advertiserQuotaCommand `cmd:"" help:"Show and set what an advertiser may have."`
	Market   marketCommand          `cmd:"" help:"Read, try and change the rules of the auction."`
	History  historyCommand         `cmd:"" help:"Say who changed what, when and from where."`
	Undo     undoCommand            `cmd:"" help:"Take a change back."`
	Backup   backupCommand          `cmd:"" help:"Copy catalogue, ledger and keys of a server at one point, while it serves."`
	Simulate simulateCommand        `cmd:"" help:"Measure a server under load, find its capacity, plan machines."`
	Health   healthCommand          `cmd:"" help:"Ask a server whether it serves; the exit status says so too."`
	Version  versionCommand         `cmd:"" help:"Print the version."`
}

// session is what a command works with.
type session struct {
	Env
	ctx   context.Context
	args  []string // as typed
	given []string // names of the flags set on the command line or in the configuration file
}

const description = `Mini Programs Nearby, with an auction: finds the mini-programs around a viewer, lets advertisers compete for the slots above them, and prices the winners.

Try "hexbid serve --demo", then "hexbid search --lat 30.2553 --lng 120.1640 --age 24 --gender female".`

// exitCode lets kong's own exits (--help) end the run without ending the process.
type exitCode int

// Run runs one command line and returns the exit status: 0 for success, 1 for an error, and 2 for a command line that
// cannot be read or a simulation that missed a gate. It writes errors to Stderr.
func Run(ctx context.Context, args []string, env Env) (code int) {
	defer func() {
		if p := recover(); p != nil {
			exit, ok := p.(exitCode)
			if !ok {
				panic(p)
			}
			code = int(exit)
		}
	}()
	c, file := commands{Added: env.Commands}, configFile{}
	c.Ledger.Added, c.Receipt.Added = env.LedgerCommands, env.ReceiptCommands
	parser, err := kong.New(&c, kong.Name("hexbid"), kong.Description(description), kong.UsageOnError(),
		kong.Writers(env.Stdout, env.Stderr), kong.Exit(func(code int) { panic(exitCode(code)) }),
		kong.Configuration(file.read), kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(env))
	if err != nil {
		fmt.Fprintln(env.Stderr, "hexbid:", err)
		return 2
	}
	teach(parser.Model.Node, "")
	selected, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(env.Stderr, "hexbid:", explainParse(err))
		return 2
	}
	if err := selected.Run(&session{env, ctx, args, givenFlags(selected)}); err != nil {
		if errors.Is(err, errMissed) {
			return 2
		}
		if !errors.Is(err, errReported) {
			fmt.Fprintln(env.Stderr, "hexbid:", explainError(err))
		}
		return 1
	}
	return 0
}

// explainParse says what is wrong with a command line, and where to read what is right.
func explainParse(err error) string {
	of := "hexbid"
	var wrong *kong.ParseError
	if errors.As(err, &wrong) && wrong.Context != nil {
		if command := wrong.Context.Command(); command != "" {
			of += " " + strings.TrimSpace(argument.ReplaceAllString(command, ""))
		} else if strings.HasPrefix(err.Error(), "unknown flag") {
			err = fmt.Errorf("%w before a command: flags stand after it, as in hexbid whoami --server HOST:PORT", err)
		}
	}
	return fmt.Sprintf("%v\nSee %s --help.", err, of)
}

// argument is a positional argument in the name of a command as kong writes it.
var argument = regexp.MustCompile(` ?<.*`)

// givenFlags returns the names of the flags that the command line or its file sets.
func givenFlags(c *kong.Context) (names []string) {
	for _, p := range c.Path {
		if p.Flag != nil {
			names = append(names, p.Flag.Name)
		}
	}
	return names
}

// errReported ends a command that has printed its errors already.
var errReported = errors.New("reported")

// explainError turns a gRPC status into a message for people.
func explainError(err error) string {
	var call interface{ GRPCStatus() *status.Status } // status.FromError would repeat what wraps it
	if !errors.As(err, &call) {
		return err.Error()
	}
	s := call.GRPCStatus()
	if s.Code() == codes.Unavailable && strings.Contains(s.Message(), "server preface") {
		return fmt.Sprintf("no server answers in the clear (%s): if one speaks TLS there, give --tls-ca",
			s.Message())
	}
	if s.Code() == codes.Unavailable && strings.Contains(s.Message(), "first record does not look like a TLS handshake") {
		return "the server does not speak TLS: leave --tls-ca out, or choose a context without it"
	}
	if s.Code() == codes.Unavailable && strings.Contains(s.Message(), "x509: ") {
		return fmt.Sprintf("the server's certificate is not trusted (%s): see --tls-ca", s.Message())
	}
	if s.Code() == codes.Unavailable && isTransport(s.Message()) {
		return fmt.Sprintf("no server answers (%s): is \"hexbid serve\" running there? See --server.", s.Message())
	}
	for _, detail := range s.Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok && len(bad.GetFieldViolations()) > 0 {
			var lines []string
			for _, v := range bad.GetFieldViolations() {
				field := strings.TrimSuffix(v.GetField(), "_micros")
				lines = append(lines, field+": "+inCurrency(v.GetDescription()))
			}
			return strings.Join(lines, "\n")
		}
	}
	return s.Message()
}

// isTransport reports whether the error comes from gRPC's client rather than from the server.
func isTransport(message string) bool {
	for _, words := range []string{"connection", "transport", "name resolver", "write tcp", "read tcp"} {
		if strings.Contains(message, words) {
			return true
		}
	}
	return false
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(s *session) error {
	_, err := fmt.Fprintln(s.Stdout, "hexbid", s.Version)
	return err
}

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
