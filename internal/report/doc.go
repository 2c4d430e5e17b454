// Package report judges a window of time: it takes what the rollups tell about it (Facts), measures the objectives by it,
// and makes the report (Document), which Render writes for people and programs. The metrics endpoints are computed here
// from the same facts, so that they and the report cannot disagree. Analyser reads our own log files into a section.
//
// It is pure: no database, no files, no clock. Whoever fills Facts and stores documents lives elsewhere.
//
// No figure is ever NaN: where there is no sample (no request, no time covered, no agent) a pointer is nil and the JSON is
// null. Latencies are milliseconds here and seconds in sketches, money is US dollars here and nano-dollars in facts; ratios
// are from 0 to 1.
package report
