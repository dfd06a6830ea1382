package exchange

import (
	"strings"
	"testing"

	"github.com/hexbid/hexbid"
)

// TestAnImportSaysFromWhenACapCounts, of campaigns and advertisers, in a dry run too.
func TestAnImportSaysFromWhenACapCounts(t *testing.T) {
	b := openBank(t)
	c, owner := cappedCampaign("c", 1), &hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}, DisplayName: "A"}
	b.put(c)
	forEver, capped := *c, *owner
	forEver.Cap.Window, capped.Cap = 0, c.Cap
	for r, want := range map[hexbid.Resource]string{c: "", owner: "", &forEver: "30 days", &capped: "from now on"} {
		for _, dry := range []bool{true, false} {
			o := b.Import(ctx, []hexbid.Resource{r}, dry)[0]
			if said := strings.Join(o.Notices, "; "); o.Err != nil || !strings.Contains(said, want) || want == "" && said != "" {
				t.Errorf("%T, dry %v: %q, want %q (%v)", r, dry, said, want, o.Err)
			}
			b.Import(ctx, []hexbid.Resource{c, owner}, false)
		}
	}
}
