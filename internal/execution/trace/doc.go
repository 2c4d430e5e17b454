// Package trace decides what the spans of traces are together: which of them are steps of another's run, which tell of the same
// call of a model, whose name, user and session each has, and how the runs ended. It knows no database and no clock: the same
// spans give the same answer, in whatever order and in however many exports they came.
package trace
