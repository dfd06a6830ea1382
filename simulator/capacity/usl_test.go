package capacity

import (
	"math"
	"testing"
)

// SPEC SDM91 on a Sun SPARCcenter 2000 (Gunther, "Guerrilla Capacity Planning",
// 2007, ch. 5); the parameters are those of the R package usl.
var specSDM91 = []Load{{1, 64.9}, {18, 995.9}, {36, 1652.4}, {72, 1853.2}, {108, 1828.9}, {144, 1775.0}, {216, 1702.2}}

func TestTheScalabilityLawFitsPublishedPoints(t *testing.T) {
	s, err := FitScalability(specSDM91)
	t.Logf("%+v peak %v max %v", s, s.Peak(), s.At(s.Peak()))
	if err != nil || math.Abs(s.Sigma-0.0277) > 0.0003 || math.Abs(s.Kappa-1.044e-4) > 1e-6 || math.Abs(s.Lambda-89.995) > 0.5 {
		t.Errorf("%+v, %v", s, err)
	}
	ray := []Load{{1, 20}, {4, 78}, {8, 130}, {12, 170}, {16, 190}, {20, 200}, {24, 210}, {28, 230}, {32, 260}, {48, 280}, {64, 310}}
	r, _ := FitScalability(ray)
	t.Logf("%+v", r)
}
