package cli

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// setAges reads ranges such as "18-30" and single ages such as "35".
func setAges(m *pb.Campaign, n *yaml.Node) error {
	ranges, err := items(n)
	if err != nil {
		return err
	}
	for _, text := range ranges {
		low, high, isRange := strings.Cut(text, "-")
		if !isRange {
			high = low
		}
		youngest, err1 := parseWhole(strings.TrimSpace(low))
		oldest, err2 := parseWhole(strings.TrimSpace(high))
		if err1 != nil || err2 != nil {
			return fmt.Errorf("%q is not a range of ages: write it as 18-30", text)
		}
		audience(m).Ages = append(audience(m).Ages, &pb.AgeRange{MinAge: youngest, MaxAge: oldest})
	}
	return nil
}

func getAges(m *pb.Campaign) *yaml.Node {
	return listNode(audience(m).GetAges(), func(r *pb.AgeRange) *yaml.Node {
		if r.GetMinAge() == r.GetMaxAge() {
			return plainNode(fmt.Sprint(r.GetMinAge()))
		}
		return textNode(fmt.Sprintf("%d-%d", r.GetMinAge(), r.GetMaxAge()))
	})
}

// setHostBids reads parts of the bid such as "alipay 120%" and "douyin 0.8".
func setHostBids(m *pb.Campaign, n *yaml.Node) error {
	bids, err := items(n)
	if err != nil {
		return err
	}
	for _, text := range bids {
		words := strings.Fields(text)
		if len(words) != 2 {
			return fmt.Errorf("%q is not a bid on a host: write it as alipay 120%%", text)
		}
		host, err := parseEnum[pb.Host](words[0])
		if err != nil {
			return err
		}
		// A part is read as exactly as money is: 1.2 is 1,200,000 ppm.
		part, percent := strings.CutSuffix(words[1], "%")
		ppm, err := hexbid.ParseMoney(part)
		if err != nil {
			return fmt.Errorf("%q is not a part of the bid: write it as 120%% or 1.2", words[1])
		}
		if percent {
			ppm /= 100
		}
		m.HostBids = append(m.HostBids, &pb.HostBid{Host: host, MultiplierPpm: int64(ppm)})
	}
	return nil
}

func getHostBids(m *pb.Campaign) *yaml.Node {
	return listNode(m.GetHostBids(), func(b *pb.HostBid) *yaml.Node {
		return textNode(enumName(b.GetHost()) + " " + hexbid.Money(b.GetMultiplierPpm()).String())
	})
}

// setCreditBands reads bands, and "650+" for that one and all above.
func setCreditBands(m *pb.Campaign, n *yaml.Node) error {
	names, err := items(n)
	if err != nil {
		return err
	}
	for _, name := range names {
		name = strings.TrimSpace(name)
		from := map[string]pb.CreditBand{"550+": 2, "600+": 3, "650+": 4, "700+": 5}[name]
		if from > 0 {
			for band := from; band <= pb.CreditBand_CREDIT_BAND_700_AND_ABOVE; band++ {
				audience(m).CreditBands = append(audience(m).CreditBands, band)
			}
			continue
		}
		band, err := parseEnum[pb.CreditBand](name)
		if err != nil {
			return fmt.Errorf("%w, or 650+ for that and above", err)
		}
		audience(m).CreditBands = append(audience(m).CreditBands, band)
	}
	return nil
}

func getCreditBands(m *pb.Campaign) *yaml.Node {
	return listNode(audience(m).GetCreditBands(), func(b pb.CreditBand) *yaml.Node { return textNode(enumName(b)) })
}
