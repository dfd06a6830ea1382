// Package geoindex is geometry on the H3 grid: it covers a region by cells,
// finds the cells and administrative regions over a point, finds the nearest
// places, and converts between the datums of Chinese maps.
//
// It works on the sphere of radius hexbid.EarthRadiusM and knows ordinals,
// never campaigns. Everything it builds is immutable once built.
package geoindex
