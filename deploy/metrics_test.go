package deploy

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"google.golang.org/grpc/codes"
	"sigs.k8s.io/yaml"
)

const (
	rulesFile     = "prometheus/hexbid.rules.yml"
	ruleTestsFile = "prometheus/hexbid.rules.test.yml"
	dashboardFile = "grafana/hexbid.json"
)

// expression is a query with the place where it stands.
type expression struct{ where, text string }

// dashboard is what this package reads of a Grafana dashboard.
type dashboard struct {
	Panels []struct {
		ID      int
		Title   string
		GridPos struct{ X, Y, W, H int }
		Targets []struct{ Expr string }
	}
	Templating struct{ List []struct{ Query any } }
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func readRules(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile(rulesFile, false, model.UTF8Validation, parser.NewParser(parser.Options{}),
		slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var all []rulefmt.Rule
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) < 20 {
		t.Fatalf("%d rules were read", len(all))
	}
	return all
}

// expressions returns all queries of the rules and of the dashboard.
func expressions(t *testing.T) (all []expression) {
	for _, r := range readRules(t) {
		all = append(all, expression{r.Alert, r.Expr})
	}
	variables := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*")
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			all = append(all, expression{"panel " + p.Title, variables.Replace(target.Expr)})
		}
	}
	return all
}

// added are the labels that Prometheus adds to every series that it scrapes.
var added = []string{model.MetricNameLabel, "job", "instance"}

// TestRulesAndDashboardNameOnlyWhatAServerExports reads every metric and label of the rules and the dashboard, and
// compares them with those of a real server.
func TestRulesAndDashboardNameOnlyWhatAServerExports(t *testing.T) {
	var wanted []*parser.VectorSelector
	where := map[*parser.VectorSelector]string{}
	for _, e := range expressions(t) {
		tree, err := parser.NewParser(parser.Options{}).ParseExpr(e.text)
		if err != nil {
			t.Errorf("%s: %q: %v", e.where, e.text, err)
			continue
		}
		parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
			if s, is := node.(*parser.VectorSelector); is && s.Name != "up" { // which Prometheus makes itself
				wanted, where[s] = append(wanted, s), e.where
			}
			return nil
		})
	}
	if len(wanted) < 80 {
		t.Fatalf("only %d selectors were read", len(wanted))
	}
	exported := serve(t).scrape(t, func(f families) bool { // until people have searched and clicked
		return f.has("hexbid_events_total") && f.has("hexbid_answered_seconds_bucket")
	})
	for _, s := range wanted {
		if problem := exported.lacks(s); problem != "" {
			t.Errorf("%s: %s: %s", where[s], s, problem)
		}
	}
}

// families are exported series: by metric, by label, the values.
type families map[string]map[string][]string

func (f families) has(metric string) bool { _, there := f[metric]; return there }

// lacks says what a selector asks for that is not exported.
func (f families) lacks(s *parser.VectorSelector) string {
	of, there := f[s.Name]
	if !there {
		return "no server exports this metric"
	}
	for _, m := range s.LabelMatchers {
		if slices.Contains(added, m.Name) {
			continue
		}
		values, there := of[m.Name]
		if !there {
			return fmt.Sprintf("the metric has no label %q", m.Name)
		}
		for _, value := range strings.Split(m.Value, "|") {
			if !isKnown(s.Name, m.Name, value) && !slices.Contains(values, value) {
				return fmt.Sprintf("no series has %s=%q: there are %q", m.Name, value, values)
			}
		}
	}
	return ""
}

// isKnown knows the values that a healthy server has no series of: codes of gRPC, and outcomes of events.
func isKnown(metric, label, value string) bool {
	switch {
	case label == "code":
		for code := codes.OK; code <= codes.Unauthenticated; code++ {
			if code.String() == value {
				return true
			}
		}
	case metric == "hexbid_events_total" && label == "outcome":
		source, err := os.ReadFile("../event.go")
		return err == nil && strings.Contains(string(source), `"`+value+`"`)
	}
	return false
}

func TestThePanelsOfTheDashboardDoNotOverlap(t *testing.T) {
	d := readDashboard(t)
	taken, ids := map[[2]int]string{}, map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("panel %d, %q: the id is taken or the title is missing", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if x >= 24 || taken[[2]int{x, y}] != "" {
					t.Errorf("%q stands on %q", p.Title, taken[[2]int{x, y}])
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// ruleTests is what this package reads of the rules' unit tests.
type ruleTests struct {
	Tests []struct {
		Cases []struct {
			Alert    string `json:"alertname"`
			Expected []any  `json:"exp_alerts"`
		} `json:"alert_rule_test"`
	}
}

func TestEveryAlertIsTestedAndHasARunbook(t *testing.T) {
	var tests ruleTests
	text, err := os.ReadFile(ruleTestsFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &tests); err != nil {
		t.Fatal(err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, one := range tests.Tests {
		for _, c := range one.Cases {
			fires[c.Alert], silent[c.Alert] = fires[c.Alert] || len(c.Expected) > 0, silent[c.Alert] || len(c.Expected) == 0
		}
	}
	runbook, err := os.ReadFile("../docs/operators.md")
	if err != nil {
		t.Fatal(err)
	}
	headings := regexp.MustCompile(`(?m)^### (Hexbid\w+)$`).FindAllStringSubmatch(string(runbook), -1)
	for _, r := range readRules(t) {
		if !fires[r.Alert] || !silent[r.Alert] {
			t.Errorf("%s needs a test that it fires, and one that it does not", r.Alert)
		}
		if severity := r.Labels["severity"]; severity != "page" && severity != "ticket" || r.Annotations["summary"] == "" {
			t.Errorf("%s: severity %q, summary %q", r.Alert, severity, r.Annotations["summary"])
		}
		if r.Annotations["runbook"] != "docs/operators.md#"+strings.ToLower(r.Alert) {
			t.Errorf("%s: the runbook is %q", r.Alert, r.Annotations["runbook"])
		}
		if !slices.ContainsFunc(headings, func(h []string) bool { return h[1] == r.Alert }) {
			t.Errorf("docs/operators.md has no section %q", "### "+r.Alert)
		}
	}
	for _, h := range headings {
		if !fires[h[1]] {
			t.Errorf("docs/operators.md tells of %s, which is no alert", h[1])
		}
	}
}

// deadline bounds waits for what must happen, on a machine that may be busy.
const deadline = 2 * time.Minute
