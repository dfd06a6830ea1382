// Package spans tells an OpenTelemetry collector how long the stages of some calls took.
//
// A span is a stage of a call with its beginning and its end; the spans of a call make a trace, which may continue one
// that the caller began. This is not the trace that operators ask a search for: that one lists every campaign of an
// auction, and leaves the house in an answer.
//
// Nearly all calls are not recorded, and then everything here is a comparison with nil. A server without a collector
// has a nil *Recorder, and a call that is not recorded is a nil *Call; the methods of both do nothing.
//
// Callers cannot raise how many calls are recorded. The recorder draws tickets, one for a share of all calls; see
// tickets. Nor can a collector hold a call up: spans wait in a queue of bounded length, and what finds it full is
// dropped and counted.
//
// A span says what was done and how long it took, and nothing about whom a search was made for or where: no key of a
// viewer, no point or cell, no credential, no text of an error.
package spans
