package server

import "github.com/hexbid/hexbid"

// These constants limit what all rows of one batch name together. Covering fifty thousand shapes, or checking half a
// million vertices, takes about a second of a core.
const (
	maxBatchShapes   = 50_000
	maxBatchVertices = 500_000
)

// batchShapes counts the shapes and vertices that the rows of a batch name.
type batchShapes struct{ shapes, vertices int }

// admit counts a row, or refuses a row with which the batch would name too much. A refused row does not count, so
// smaller rows after it may still fit.
func (b *batchShapes) admit(r hexbid.Resource) error {
	c, ok := r.(*hexbid.Campaign)
	if !ok {
		return nil
	}
	with := *b
	with.add(&c.Area)
	with.add(&c.Excluded)
	if with.shapes > maxBatchShapes {
		return hexbid.Errorf(hexbid.Exhausted, "campaign.area",
			"with its shapes the batch has %d circles, cells, regions and polygons, "+
				"above %d: send this row in another batch", with.shapes, maxBatchShapes)
	}
	if with.vertices > maxBatchVertices {
		return hexbid.Errorf(hexbid.Exhausted, "campaign.area.polygons",
			"with its polygons the batch has %d vertices, above %d: "+
				"send this row in another batch", with.vertices, maxBatchVertices)
	}
	*b = with
	return nil
}

func (b *batchShapes) add(a *hexbid.Area) {
	b.shapes += len(a.Circles) + len(a.Cells) + len(a.Regions) + len(a.Polygons)
	b.vertices += a.Vertices()
}
