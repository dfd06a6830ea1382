package wire

import (
	"fmt"
	"reflect"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
)

// counts are how many values each enumeration of the nouns has.
var counts = map[reflect.Type]int{
	reflect.TypeFor[hexbid.Gender]():         int(hexbid.GenderCount),
	reflect.TypeFor[hexbid.OS]():             int(hexbid.OSCount),
	reflect.TypeFor[hexbid.Network]():        int(hexbid.NetworkCount),
	reflect.TypeFor[hexbid.Host]():           int(hexbid.HostCount),
	reflect.TypeFor[hexbid.Scene]():          int(hexbid.SceneCount),
	reflect.TypeFor[hexbid.CreditBand]():     int(hexbid.CreditBandCount),
	reflect.TypeFor[hexbid.Residence]():      int(hexbid.ResidenceCount),
	reflect.TypeFor[hexbid.Category]():       int(hexbid.CategoryCount),
	reflect.TypeFor[hexbid.PricingModel]():   int(hexbid.PricingCount),
	reflect.TypeFor[hexbid.ServingState]():   int(hexbid.StateCount),
	reflect.TypeFor[hexbid.Pacing]():         int(hexbid.PacingCount),
	reflect.TypeFor[hexbid.Goal]():           int(hexbid.GoalCount),
	reflect.TypeFor[hexbid.DeliveryStatus](): int(hexbid.DeliveryStatusCount),
	reflect.TypeFor[hexbid.DeliveryLimit]():  int(hexbid.DeliveryLimitCount),
	reflect.TypeFor[hexbid.KeywordMatch]():   int(hexbid.MatchCount),
	reflect.TypeFor[hexbid.ReviewState]():    int(hexbid.ReviewCount),
	reflect.TypeFor[hexbid.Dimension]():      int(hexbid.DimensionCount),
	reflect.TypeFor[hexbid.EventOutcome]():   int(hexbid.EventOutcomeCount),
	reflect.TypeFor[hexbid.Billing]():        int(hexbid.BillingCount),
	reflect.TypeFor[hexbid.MovementType]():   int(hexbid.MovementTypeCount),
	reflect.TypeFor[hexbid.AlertType]():      int(hexbid.AlertTypeCount),
	reflect.TypeFor[hexbid.Role]():           int(hexbid.RoleCount),
	reflect.TypeFor[hexbid.Level]():          int(hexbid.LevelCount),
	reflect.TypeFor[hexbid.Mechanism]():      int(hexbid.MechanismCount),
	reflect.TypeFor[byte]():                  256,
}

// source gives the values that a noun is filled with.
type source struct {
	integer func(low, high int64) int64
	float   func() float64
	text    func() string
	length  func(most int) int // of a list
	present func() bool        // of what may be nil
}

// distinct counts, so that no two fields of a noun have one value and none has the
// zero value.
func distinct() *source {
	n := int64(0)
	next := func() int64 { n++; return n }
	return &source{
		integer: func(low, high int64) int64 { return max(low, 1) + next()%(high-max(low, 1)+1) },
		float:   func() float64 { return float64(next()) / 8 },
		text:    func() string { return fmt.Sprintf("text %d", next()) },
		length:  func(most int) int { return min(2, most) },
		present: func() bool { return true },
	}
}

func drawn(t *rapid.T) *source {
	return &source{
		integer: func(low, high int64) int64 { return rapid.Int64Range(low, high).Draw(t, "integer") },
		float:   func() float64 { return rapid.Float64Range(-90, 90).Draw(t, "float") },
		text:    func() string { return rapid.StringN(0, 12, -1).Draw(t, "text") },
		length:  func(most int) int { return rapid.IntRange(0, most).Draw(t, "length") },
		present: func() bool { return rapid.Bool().Draw(t, "present") },
	}
}

// nouns of every kind, filled from a source.
func nouns(from func() *source) []hexbid.Resource {
	out := []hexbid.Resource{new(hexbid.Advertiser), new(hexbid.Program), new(hexbid.Place), new(hexbid.Campaign),
		new(hexbid.User), new(hexbid.Client), new(hexbid.Key), new(hexbid.Market)}
	for _, r := range out {
		from().fill(reflect.ValueOf(r).Elem())
	}
	return out
}

// fill sets every field of a value. A type that it does not know is a new kind of
// field: teach it here.
func (s *source) fill(v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case *time.Time:
		if s.present() {
			*p = time.Unix(s.integer(0, 7_000_000_000), s.integer(0, 999_999_999)).UTC()
		}
		return
	case *time.Duration:
		*p = time.Duration(s.integer(0, int64(30*24*time.Hour)))
		return
	case *hexbid.Polygon:
		*p = hexbid.Polygon{square(s.float(), 1), reversed(square(s.float(), 0.5))}
		return
	case *[]uint64: // cells
		for range s.length(3) {
			*p = append(*p, []uint64{0x89309ab36abffff, 0x8f309ab36aab2ca, 0x80ebfffffffffff}[s.integer(0, 2)])
		}
		return
	}
	s.fillKind(v)
}

func (s *source) fillKind(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			s.fill(v.Field(i))
		}
	case reflect.Slice:
		if n := s.length(3); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		for i := range v.Len() {
			s.fill(v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			s.fill(v.Index(i))
		}
	case reflect.Int32:
		v.SetInt(s.integer(0, 1<<20))
	case reflect.Pointer:
		if s.present() {
			v.Set(reflect.New(v.Type().Elem()))
			s.fill(v.Elem())
		}
	case reflect.Uint8:
		v.SetUint(uint64(s.integer(0, int64(counts[v.Type()]-1))))
	case reflect.Int:
		v.SetInt(s.integer(0, 1<<31-1))
	case reflect.Int64:
		v.SetInt(s.integer(0, 1<<62))
	case reflect.Uint64:
		v.SetUint(uint64(s.integer(0, 1<<62)))
	case reflect.Float64:
		v.SetFloat(s.float())
	case reflect.Bool:
		v.SetBool(s.present())
	case reflect.String:
		v.SetString(s.text())
	default:
		panic(fmt.Sprintf("a field of type %s: say here how to fill it", v.Type()))
	}
}

// square is a ring that runs counter-clockwise, as GeoJSON wants the outer one.
func square(at, half float64) []hexbid.Point {
	return []hexbid.Point{{Lat: at - half, Lng: -half}, {Lat: at - half, Lng: half}, {Lat: at + half, Lng: half},
		{Lat: at + half, Lng: -half}, {Lat: at - half, Lng: -half}}
}

func reversed(ring []hexbid.Point) (out []hexbid.Point) {
	for i := range ring {
		out = append(out, ring[len(ring)-1-i])
	}
	return out
}
