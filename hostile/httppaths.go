package main

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"google.golang.org/grpc"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// The vault is what the attackers of paths may neither read nor change. Its names stand for its content.
const (
	vault       = "vault"
	vaultSecret = "for the eyes of the vault alone"
)

// httpPaths asks for what is not the attacker's in every spelling of a path, a method and a name. Where credentials are
// demanded no answer may have anything of the vault, and its resources must be to the last byte as they were.
func httpPaths(ctx context.Context, r *round) error {
	operator, err := r.server.Dial(victim.Patient())
	if err != nil {
		return err
	}
	defer operator.Close()
	if err := importRows(ctx, operator, vaultRows()); err != nil {
		return err
	}
	before, err := vaultOf(ctx, operator)
	if err != nil {
		return err
	}
	tries, keys := pathTries(), r.strangers()
	err = r.inTurn(ctx, len(tries)*len(keys), func(_ context.Context, i int) {
		q := tries[i/len(keys)%len(tries)]
		q.key = keys[i%len(keys)]
		if !r.server.DemandsCredentials() && q.method != "GET" {
			return // whoever reaches the port is the operator
		}
		a, ok := r.askOver(r.server, q.method+" "+shown(q.target), q)
		if ok && r.server.DemandsCredentials() && strings.Contains(a.body, vaultSecret) {
			r.tally.fall("%s %s: the answer is the vault's: %.300s", q.method, shown(q.target), a.body)
		}
	})
	if err != nil {
		return err
	}
	after, err := vaultOf(ctx, operator)
	if r.server.DemandsCredentials() && err == nil {
		compareOthers(before, after, r.tally)
	}
	return err
}

func shown(target string) string { return target[:min(len(target), 80)] }

// strangers returns the credentials of attackers who may not read what is the vault's.
func (r *round) strangers() []string {
	s := r.server
	if !s.DemandsCredentials() {
		return []string{""}
	}
	return []string{s.Key("users/" + attackerMember), s.Key("clients/" + attackerClient), "", alteredKey(s.Key(""))}
}

func vaultRows() []*pb.ImportRow {
	rows := append(programRows(vault), campaignRow(vault, 0, &pb.Area{Circles: []*pb.Circle{
		{Latitude: 2, Longitude: -150, RadiusM: 500}}}))
	rows[0].GetAdvertiser().DisplayName = vaultSecret
	rows[1].GetProgram().DisplayName = vaultSecret
	rows[2].GetCampaign().DisplayName = vaultSecret
	return rows
}

// vaultOf returns the vault's resources as text by name.
func vaultOf(ctx context.Context, conn *grpc.ClientConn) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, victim.Patience)
	defer cancel()
	const name = "advertisers/" + vault
	client := pb.NewCampaignServiceClient(conn)
	a, err1 := client.GetAdvertiser(ctx, &pb.GetAdvertiserRequest{Name: name})
	p, err2 := client.GetProgram(ctx, &pb.GetProgramRequest{Name: name + "/programs/p"})
	c, err3 := client.ListCampaigns(ctx, &pb.ListCampaignsRequest{Parent: name, View: pb.View_VIEW_FULL})
	return map[string]string{"the vault": textOf(a), "its program": textOf(p), "its campaigns": textOf(c)},
		errors.Join(err1, err2, err3)
}

// pathTries returns requests for the vault in all spellings.
func pathTries() (tries []webRequest) {
	for _, target := range vaultTargets() {
		for _, method := range []string{"GET", "DELETE", "PATCH", "POST", "PUT", "HEAD", "TRACE", "get", "OPTIONS"} {
			q := webRequest{method: method, target: target}
			if method == "PATCH" || method == "POST" || method == "PUT" {
				q.body = `{"display_name":"taken"}`
			}
			tries = append(tries, q)
		}
	}
	const own = "/v1/advertisers/" + attackerMember
	taken := `{"name":"advertisers/vault","display_name":"taken"}`
	return append(tries,
		webRequest{method: "PATCH", target: own, body: taken},
		webRequest{method: "PATCH", target: own + "?advertiser.name=advertisers/vault", body: `{"display_name":"taken"}`},
		webRequest{method: "PATCH", target: own + "?update_mask=name,display_name", body: taken},
		webRequest{method: "PATCH", target: own + "?allow_missing=true", body: taken},
		webRequest{method: "POST", target: own + "/campaigns?campaign_id=c&parent=advertisers/vault", body: taken},
		webRequest{method: "POST", target: own + "/campaigns?campaign_id=../../vault/campaigns/c0", body: taken},
		webRequest{method: "POST", target: own, headers: []string{"X-HTTP-Method-Override: DELETE"}, body: taken},
		webRequest{method: "GET", target: own + "?name=advertisers/vault"},
		webRequest{method: "GET", target: own + "/campaigns?parent=advertisers/vault"},
		webRequest{method: "GET", target: own + "/campaigns?page_token=" + url.QueryEscape("advertisers/vault/campaigns/c0")},
		webRequest{method: "GET", target: "/v1/changes?owner=advertisers/vault"},
		webRequest{method: "GET", target: "/v1/changes?resource=advertisers/vault"},
		webRequest{method: "POST", target: "/v1/advertisers/vault:setMembership",
			body: `{"user":"users/attacker","level":"MEMBERSHIP_LEVEL_ADMIN"}`},
		webRequest{method: "POST", target: "/v1/users/operator/keys?key_id=mine", body: `{}`},
		webRequest{method: "POST", target: "/v1/users/operator/keys/first:rotate", body: `{"key_id":"mine"}`},
		webRequest{method: "PATCH", target: "/v1/market", body: `{"increment_micros":1}`},
		webRequest{method: "POST", target: "/v1/backups", body: `{"directory":"/tmp/never"}`})
}

// vaultTargets returns spellings of the vault's paths, and paths of the operator.
func vaultTargets() []string {
	const own = "/v1/advertisers/" + attackerMember
	return []string{
		"/v1/advertisers/vault", "//v1/advertisers/vault", "/v1//advertisers/vault", "/v1/advertisers//vault",
		"/v1/advertisers/vault/", "/v1/./advertisers/vault", "/v1/advertisers/./vault", "/v1/advertisers/x/../vault",
		own + "/../vault", own + "/..%2fvault", own + "%2f..%2fvault", own + "/%2e%2e/vault", own + "/..;/vault",
		own + "/campaigns/../../vault", own + "/campaigns/..%2f..%2fvault%2fcampaigns%2fc0", own + "\\..\\vault",
		own + "/campaigns/c0%2f..%2f..%2f..%2fvault", "/v1/advertisers%2fvault", "/v1%2fadvertisers%2fvault",
		"/v1/advertisers/%76ault", "/v1/advertisers/%2576ault", "/v1/advertisers/VAULT", "/V1/advertisers/vault",
		"/v1/advertisers/vault%00", "/v1/advertisers/vault%20", "/v1/advertisers/vault%0d%0aX-Made:%20up",
		"/v1/advertisers/vault.json", "/v1/advertisers/vault;a=b", "/v1/advertisers/vault?", "/v1/advertisers/vault%3f",
		"/v1/advertisers/vault%23", "/v1/advertisers/\xff\xfe", "/v1/advertisers/%ff%fe", "/v1/advertisers/%zz",
		"/v1/advertisers/ｖault", "/v1/advertisers/vau\u200blt", "/v1/advertisers/*", "/v1/advertisers/-",
		"/v1/advertisers/vault/campaigns", "/v1/advertisers/vault/campaigns/c0", "/v1/advertisers/vault/programs/p",
		"/v1/advertisers/-/campaigns", "/v1/advertisers/-/programs/-/places", "/v1/advertisers/-/campaigns/c0",
		"/v1/advertisers/vault/campaigns/c0:explain", "/v1/advertisers/vault/campaigns/c0/spend",
		"/v1/advertisers/vault/balance", "/v1/advertisers/vault/statements/2026-11", "/v1/advertisers/-/spend",
		"http://localhost/v1/advertisers/vault", "http://evil.example/v1/advertisers/vault", "*", "/", "",
		"/debug/pprof/heap", "/debug/pprof/../../v1/advertisers/vault", "/debug/pprof/cmdline", "/metrics",
		"/../operator.key",
		"/%2e%2e/%2e%2e/operator.key", "/hexbid.v1.CampaignService/GetAdvertiser", "/v1/users/operator",
		"/v1/users/operator/keys", "/v1/users/operator/keys/first", "/v1/clients/bystander/keys/k",
		"/v1/" + strings.Repeat("a/", 3000), "/v1/advertisers/" + strings.Repeat("%2e%2e%2f", 800) + "vault",
	}
}
