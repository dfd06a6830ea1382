package quality

import (
	"github.com/hexbid/hexbid"
)

// SceneFactors are the factors of hosts and scenes, in parts per million. The greatest is PPM.
type SceneFactors [hexbid.HostCount][hexbid.SceneCount]int64

// evenFactors are those of a market in which no host and no scene differs.
func evenFactors() (f SceneFactors) {
	for host := range f {
		for scene := range f[host] {
			f[host][scene] = PPM
		}
	}
	return f
}

// scenes count, for each host and scene, the clicks and those that the campaigns' bases let expect.
type scenes [hexbid.HostCount][hexbid.SceneCount]Account

// sceneClicks is the worth of the assumption that a host and scene is like all others, in clicks.
const sceneClicks = 100

// SceneFactors returns the ratios of observed to expected clicks, beside the market's own ratio, drawn to 1 and scaled
// so that the greatest is PPM.
func (b *Book) SceneFactors(now int64) (f SceneFactors) {
	level := b.sceneLevel(now)
	var ratios [hexbid.HostCount][hexbid.SceneCount]float64
	most := 0.0
	for host := range b.scenes {
		for scene := range b.scenes[host] {
			e := b.sceneEvidence(host, scene, now)
			ratios[host][scene] = (e.Clicks + sceneClicks) / (e.Weight*level + sceneClicks)
			most = max(most, ratios[host][scene])
		}
	}
	for host := range ratios {
		for scene := range ratios[host] {
			f[host][scene] = ppm(ratios[host][scene] / most)
		}
	}
	return f
}

// sceneLevel returns the ratio of observed to expected clicks of the whole market. It is not 1 while bases follow late.
func (b *Book) sceneLevel(now int64) float64 {
	all := Evidence{}
	for host := range b.scenes {
		for scene := range b.scenes[host] {
			e := b.sceneEvidence(host, scene, now)
			all.Clicks, all.Weight = all.Clicks+e.Clicks, all.Weight+e.Weight
		}
	}
	if all.Weight == 0 {
		return 1
	}
	return all.Clicks / all.Weight
}

// sceneEvidence returns the clicks of a host and scene, and as their weight those that bases let expect.
func (b *Book) sceneEvidence(host, scene int, now int64) Evidence {
	e := b.scenes[host][scene].evidence(now, b.delays, &b.tables, hexbid.CategoryUnknown)
	e.Weight /= b.unit
	return e
}

// SetSceneFactors says which factors searches use from now on. Where all factors fall or rise together, bases do the
// opposite, so that their products stay: past impressions weigh as if they had been counted by the new factors. That
// multiplies the weight of all campaigns and programs alike, so it is kept as one number, the unit of their accounts.
func (b *Book) SetSceneFactors(now int64, f *SceneFactors) {
	if *f == b.inForce {
		return
	}
	before, after := 0.0, 0.0
	for host := range b.scenes {
		for scene := range b.scenes[host] {
			weight := b.sceneEvidence(host, scene, now).Weight
			before += weight * float64(b.inForce[host][scene])
			after += weight * float64(f[host][scene])
		}
	}
	b.inForce = *f
	b.change(rowOf{kind: marketRow})
	if before > 0 && after > 0 {
		b.unit *= after / before
		b.refresh = len(b.round)
	}
}

// sceneNumber numbers hosts and scenes, for keys.
func sceneNumber(host hexbid.Host, scene hexbid.Scene) hexbid.UID {
	return hexbid.UID(int(host)*int(hexbid.SceneCount) + int(scene))
}
