package auction

// Prediction is how the quality of an entry came about: the campaign's own chance of a click times what is learned of
// the whole market. All numbers are parts per million. The factors are at most PPM, so a campaign's own quality bounds
// what it is worth anywhere.
type Prediction struct {
	BasePPM     int64 // the campaign's, 1 to PPM
	ScenePPM    int64 // the factor of host and scene, 1 to PPM
	DistancePPM int64 // the factor of the distance to the program's nearest place, 1 to PPM
	Band        uint8 // of the distance, from 1; 0 when distance does not count
}

// PredictionOf returns the prediction of a campaign whose quality no factor lowers.
func PredictionOf(qualityPPM int64) Prediction {
	return Prediction{BasePPM: qualityPPM, ScenePPM: PPM, DistancePPM: PPM}
}

// QualityPPM returns the quality: at least 1, floored after each product.
func (p *Prediction) QualityPPM() int64 {
	return LowerQuality(LowerQuality(p.BasePPM, p.ScenePPM), p.DistancePPM)
}

// LowerQuality multiplies a quality by a factor, floored, and at least 1. Both are parts per million.
func LowerQuality(qualityPPM, factorPPM int64) int64 { return max(1, qualityPPM*factorPPM/PPM) }
