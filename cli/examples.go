package cli

import (
	"strings"

	"github.com/alecthomas/kong"
)

// examples are command lines for --help, by command. A command that explains more has a method Help with its own.
var examples = map[string]string{
	"apply": `
hexbid apply --template yaml > market.yaml
hexbid apply -f market.yaml --dry-run
hexbid apply -f market.yaml -f campaigns.csv
hexbid apply -f market.yaml --prune`,
	"get": `
hexbid get advertisers
hexbid get campaigns --parent advertisers/acme
hexbid get advertisers/acme/campaigns/lunch -o yaml
hexbid get places --parent advertisers/acme/programs/-`,
	"delete": `
hexbid delete advertisers/acme/campaigns/lunch
hexbid delete advertisers/acme --cascade --dry-run`,
	"approve": `
hexbid approve advertisers/acme/programs/tea/places/hubin
hexbid approve advertisers/acme/programs/tea/places/hubin --hide`,
	"regions": `
hexbid regions hangzhou
hexbid regions 330100`,
	"search": `
hexbid search --lat 30.2553 --lng 120.1640
hexbid search --lat 30.2553 --lng 120.1640 --age 24 --gender female --os ios --host wechat --slots 3 --limit 5
hexbid search --lat 30.2507 --lng 120.1687 --datum gcj02 --words coffee -o json`,
	"explain": `
hexbid explain advertisers/acme/campaigns/lunch --lat 30.2553 --lng 120.1640 --age 45 --os android --host wechat`,
	"alerts": `
hexbid alerts
hexbid alerts advertisers/acme --once -o json`,
	"ledger": `
hexbid ledger show advertisers/acme/campaigns/lunch
hexbid ledger statement advertisers/acme --month 2026-11`,
	"ledger show": `
hexbid ledger show advertisers/acme/campaigns/lunch`,
	"ledger statement": `
hexbid ledger statement advertisers/acme
hexbid ledger statement advertisers/acme --month 2026-11 -o csv > november.csv`,
	"ledger balance": `
hexbid ledger balance advertisers/acme`,
	"ledger charges": `
hexbid ledger charges advertisers/acme/campaigns/lunch --from 2026-11-22T00:00:00+08:00`,
	"ledger roots": `
hexbid ledger roots -o json > roots.json`,
	"ledger top-up": `
hexbid ledger top-up advertisers/acme 500 --note "invoice 17" --request-id invoice-17`,
	"ledger withdraw": `
hexbid ledger withdraw advertisers/acme 120.50 --request-id refund-3`,
	"ledger credit": `
hexbid ledger credit advertisers/acme --charge 812 --reason "clicks by our own tests"
hexbid ledger credit advertisers/acme --campaign advertisers/acme/campaigns/lunch --amount 20 --reason outage`,
	"ledger billing": `
hexbid ledger billing advertisers/acme prepaid`,
	"receipt": `
hexbid receipt get 5360 -o json > 5360.json`,
	"receipt get": `
hexbid receipt get 5360
hexbid receipt get 5360 -o json > 5360.json`,
	"viewers": `
hexbid viewers export --user-key-file key.txt > held.json
hexbid viewers erase --user-key-file key.txt --dry-run`,
	"viewers export": `
hexbid viewers export --user-key-file key.txt > held.json`,
	"viewers erase": `
hexbid viewers erase --user-key-file key.txt --dry-run
hexbid viewers erase --user-key-file - --yes < key.txt`,
	"login": `
hexbid login --server-data /var/lib/hexbid
hexbid login --server ads.example.com:7600 --tls-ca ca.pem --name work < mia.key
hexbid login --server ads.example.com:7600 --tls-ca system --key-file mia.key`,
	"contexts": `
hexbid contexts
hexbid contexts use work`,
	"contexts list": `
hexbid contexts list`,
	"contexts use": `
hexbid contexts use work`,
	"contexts delete": `
hexbid contexts delete work`,
	"whoami": `
hexbid whoami
hexbid whoami --context work -o json`,
	"users": `
hexbid users create mia --member advertisers/acme=editor
hexbid keys create users/mia --out mia.key`,
	"users create": `
hexbid users create mia --title "Mia Chen" --member advertisers/acme=editor
hexbid users create ada --role auditor
hexbid users create bot --role operator --certificate-name bot.example.com`,
	"users list": `
hexbid users list`,
	"users member": `
hexbid users member mia advertisers/acme admin
hexbid users member mia advertisers/acme none`,
	"users role": `
hexbid users role ada auditor`,
	"users quota": `
hexbid users quota mia
hexbid users quota mia --calls-per-second 500
hexbid users quota mia --clear`,
	"users suspend": `
hexbid users suspend mia
hexbid users suspend mia --resume`,
	"users delete": `
hexbid users delete mia`,
	"clients": `
hexbid clients create superapp --sees-prices
hexbid keys create clients/superapp --out superapp.key`,
	"clients create": `
hexbid clients create superapp --sees-prices
hexbid clients create partner --events-of superapp`,
	"clients list": `
hexbid clients list`,
	"clients update": `
hexbid clients update superapp --sees-prices --sees-campaigns`,
	"clients quota": `
hexbid clients quota superapp
hexbid clients quota superapp --calls-per-second 2000 --in-flight 500
hexbid clients quota superapp --clear`,
	"clients suspend": `
hexbid clients suspend superapp
hexbid clients suspend superapp --resume`,
	"clients delete": `
hexbid clients delete superapp`,
	"keys": `
hexbid keys create users/mia --out mia.key
hexbid keys rotate users/mia/keys/laptop --overlap 24h --out mia2.key`,
	"keys create": `
hexbid keys create users/mia --id laptop --out mia.key
hexbid keys create clients/superapp --expires 2160h --out superapp.key`,
	"keys list": `
hexbid keys list
hexbid keys list users/mia`,
	"keys revoke": `
hexbid keys revoke users/mia/keys/laptop`,
	"keys rotate": `
hexbid keys rotate users/mia/keys/laptop --overlap 24h --out mia2.key`,
	"market": `
hexbid market get > rules.yaml
hexbid market validate rules.yaml
hexbid market update rules.yaml`,
	"market get": `
hexbid market get > rules.yaml`,
	"market validate": `
hexbid market validate rules.yaml`,
	"market update": `
hexbid market update rules.yaml`,
	"market edit": `
hexbid market edit`,
	"backup": `
hexbid backup /backups/hexbid-2026-11-22`,
	"simulate": `
hexbid simulate load --rate 500 --duration 1m --out run1
hexbid simulate capacity --slo 'p99<5ms' --out capacity1`,
	"simulate verify": `
hexbid simulate verify`,
	"health": `
hexbid health --wait 30s
hexbid health --server 127.0.0.1:7600 --service hexbid.v1.SearchService`,
	"version": `
hexbid version`,
}

// teach adds the examples to the commands' help.
func teach(of *kong.Node, path string) {
	for _, child := range of.Children {
		name := strings.TrimSpace(path + " " + child.Name)
		if lines := examples[name]; lines != "" {
			child.Detail = "Examples:\n" + strings.ReplaceAll(lines, "\n", "\n  ")
		}
		teach(child, name)
	}
}
