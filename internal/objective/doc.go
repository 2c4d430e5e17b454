// Package objective knows the kinds of objectives: what they are written as, which figure they limit, how that figure is
// measured and when it meets the objective.
//
// Each kind has a struct for what its author writes, a field of Objective that holds it, and an entry in the table
// Objective.kinds. Resolve validates objectives once. Reports measure the result with Resolved.Result, and
// internal/report/rules writes recording rules and alerts from the same Resolved by a table keyed by Kind.
//
// Targets and what is compared with them are rational numbers: a target of 0.1 is a tenth, and one error in a hundred
// responses is not below a maximum of 0.01. Only figures to show are floats.
package objective
