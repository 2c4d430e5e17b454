// Package usage turns what a source says of a model's call, whatever its words, into tokens, what their price depends on,
// and the provider's own charge. REST, OTLP and the gateway all read usage by it, so that the same words mean the same on
// every way in. It does no I/O.
//
// A name is split into words, and the words say what it counts (names.go, classify.go). A value that is an object, in JSON or in
// Python's notation, is read member by member (object.go). What was told is then settled: whether the input includes what
// was cached, whether the output includes the reasoning, and what a total adds to its parts (settle.go).
package usage
