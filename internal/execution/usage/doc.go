// Package usage reads what a source reports about a model call's usage, in whatever terms, and returns tokens, the
// billing details that prices depend on, and the provider's own charge. REST, OTLP and the gateway all use it, so that
// the same terms have the same meaning in all of them. It does no I/O.
//
// A name is split into words, which determine what it counts (names.go, classify.go). An object as a value, in JSON or
// in Python's notation, is read member by member (object.go). The counts are then settled: whether the input includes
// cached tokens, whether the output includes the reasoning, and what a total adds to its parts (settle.go).
package usage
