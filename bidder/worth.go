package bidder

// worth packs what a campaign is worth right now into eight bytes of its record. From the lowest bit up it holds the
// quality, the multiplier of its bid and the participation, each in 20 bits of parts per million, and the step of the
// explored quality in 4 bits. 20 bits hold 1,048,575, which is more than a whole of 1,000,000.
type worth uint64

const (
	ppmBits            = 20
	ppmMask            = 1<<ppmBits - 1
	multiplierShift    = ppmBits
	participationShift = 2 * ppmBits
	stepShift          = 3 * ppmBits
	mostSteps          = 15 // steps from the ordinary quality to twice as much
)

// qualityPPM is the ordinary quality, without exploration.
func (w worth) qualityPPM() int64 { return int64(w & ppmMask) }

// multiplierPPM multiplies the bid.
func (w worth) multiplierPPM() int64 { return int64(w >> multiplierShift & ppmMask) }

// participationPPM is the share of matching searches that the campaign takes part in.
func (w worth) participationPPM() int64 { return int64(w >> participationShift & ppmMask) }

// exploredPPM is the quality in searches that explore: ⌊q·(15 + step)/15⌋, so from the ordinary one to its
// double.
func (w worth) exploredPPM() int64 {
	return w.qualityPPM() * (mostSteps + int64(w>>stepShift)) / mostSteps
}

// withQuality sets the quality and the explored quality, which is rounded down to a step.
func (w worth) withQuality(qualityPPM, exploredPPM int64) worth {
	step := worth(0)
	if exploredPPM > qualityPPM { // the largest step with q·(15 + step) < 15·(explored + 1)
		step = worth(min((mostSteps*(exploredPPM+1)-1)/qualityPPM-mostSteps, mostSteps))
	}
	return w&^(ppmMask|mostSteps<<stepShift) | worth(qualityPPM) | step<<stepShift
}

// withMultiplier sets the multiplier.
func (w worth) withMultiplier(ppm int64) worth {
	return w&^(ppmMask<<multiplierShift) | worth(ppm)<<multiplierShift
}

// withParticipation sets the participation.
func (w worth) withParticipation(ppm int64) worth {
	return w&^(ppmMask<<participationShift) | worth(ppm)<<participationShift
}
