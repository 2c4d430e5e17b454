package execution

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/sketch"
)

// MaxPoints is the maximum number of points of a series, and usualPoints that of a series whose step is not chosen.
const (
	MaxPoints   = 500
	usualPoints = 200
)

// Step is the time between two points of a series.
type Step string

// steps are the steps in ascending order, each a multiple of the width of a rollup.
var steps = []struct {
	name  Step
	width time.Duration
}{
	{"1m", time.Minute},
	{"5m", 5 * time.Minute},
	{"15m", QuarterWide},
	{"30m", 30 * time.Minute},
	{"1h", HourWide},
	{"3h", 3 * time.Hour},
	{"6h", 6 * time.Hour},
	{"12h", 12 * time.Hour},
	{"1d", DayWide},
	{"7d", 7 * DayWide},
}

// Steps returns the names of all steps.
func Steps() []Step {
	names := make([]Step, len(steps))
	for i, s := range steps {
		names[i] = s.name
	}
	return names
}

// Width returns the step's duration, or 0 if there is no such step.
func (s Step) Width() time.Duration {
	for _, known := range steps {
		if known.name == s {
			return known.width
		}
	}
	return 0
}

// Split divides a window at the multiples of a step since 1970. The window's figures are stored in buckets of width
// finest, so the step must be a multiple of it. An empty step is chosen: the shortest with at most usualPoints points.
func Split(w Window, step Step, finest time.Duration) ([]Window, Step, error) {
	if step != "" {
		width := step.Width()
		if width%finest != 0 || width < finest {
			return nil, step, fault.InvalidField("step", "must be a multiple of %s, since the beginning of the window is not kept in shorter steps", stepName(finest))
		}
		if points(w, width) > MaxPoints {
			return nil, step, fault.InvalidField("step", "gives %d points; at most %d are returned: choose a longer step or a shorter window", points(w, width), MaxPoints)
		}
		return split(w, width), step, nil
	}
	for _, s := range steps {
		if s.width%finest == 0 && points(w, s.width) <= usualPoints {
			return split(w, s.width), s.name, nil
		}
	}
	last := steps[len(steps)-1]
	return split(w, last.width), last.name, nil
}

// stepName returns a bucket's width as a step.
func stepName(width time.Duration) Step {
	for _, s := range steps {
		if s.width == width {
			return s.name
		}
	}
	return Step(width.String())
}

func points(w Window, width time.Duration) int {
	if !w.From.Before(w.To) {
		return 0
	}
	return int((w.To.Sub(w.From.Truncate(width)) + width - 1) / width)
}

func split(w Window, width time.Duration) []Window {
	var parts []Window
	for from := w.From; from.Before(w.To); {
		to := from.Truncate(width).Add(width)
		if to.After(w.To) {
			to = w.To
		}
		parts = append(parts, Window{from, to})
		from = to
	}
	return parts
}

// Finest returns the narrowest width of which all buckets since t are kept.
func (k Kept) Finest(t time.Time) time.Duration { return k.finest(t) }

// SeriesBy is what series are distinguished by.
type SeriesBy string

// The groupings of series. The zero value is a single series.
const (
	SeriesByAgent  SeriesBy = "agent"
	SeriesByModel  SeriesBy = "model"
	SeriesByStatus SeriesBy = "status"
)

// SeriesQuery asks for the figures of each step of a window.
type SeriesQuery struct {
	Window      Window
	Step        Step // may be empty
	By          SeriesBy
	Limit       int // number of series; the others are summed up in one with the key Other
	ActiveUsers bool
}

// Point is the figures of a part of a window.
type Point struct {
	Window
	Figures
	ActiveUsers *int64 // nil if not asked for
}

// SeriesOf is the points of one agent, model or status.
type SeriesOf struct {
	Key    string
	Points []Point
}

// SeriesSet is the result of a SeriesQuery.
type SeriesSet struct {
	Window Window
	Step   Step
	Series []SeriesOf // with the highest counts first
}

// SeriesSums adds up the cells of the parts of a window.
type SeriesSums struct {
	by    SeriesBy
	parts []Window
	sums  map[string][]*sums
}

// NewSeriesSums returns the sums of no cells.
func NewSeriesSums(by SeriesBy, parts []Window) *SeriesSums {
	return &SeriesSums{by: by, parts: parts, sums: map[string][]*sums{}}
}

// Add adds a cell without Durations, and its encoded durations, to a part.
func (s *SeriesSums) Add(part int, cell *Cell, durations []byte) error {
	key, counts := "", cell.Request
	switch s.by {
	case SeriesByAgent:
		key = cell.Agent
	case SeriesByModel:
		if cell.Model == "" {
			return nil
		}
		key, counts = cell.Model, true
	case SeriesByStatus:
		key = string(cell.Status)
	}
	all := s.sums[key]
	if all == nil {
		all = make([]*sums, len(s.parts))
		s.sums[key] = all
	}
	if all[part] == nil {
		all[part] = &sums{}
	}
	all[part].add(cell, counts)
	if !counts {
		return nil
	}
	if err := all[part].took.Add(durations, 1); err != nil {
		return fmt.Errorf("durations of %s: %w", cell.Agent, err)
	}
	return nil
}

// Series returns up to limit series and the sum of the others. activeUsers is nil or has a number for each part.
func (s *SeriesSums) Series(limit int, activeUsers []int64) []SeriesOf {
	if s.by == "" && len(s.sums) == 0 {
		s.sums[""] = make([]*sums, len(s.parts))
	}
	totals := make(map[string]int64, len(s.sums))
	keys := make([]string, 0, len(s.sums))
	for key, all := range s.sums {
		keys = append(keys, key)
		for _, sum := range all {
			if sum != nil {
				totals[key] = plus(totals[key], sum.counted.Count)
			}
		}
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(cmp.Compare(totals[b], totals[a]), cmp.Compare(a, b)) })
	if len(keys) > limit {
		keys = s.fold(keys, limit)
	}
	series := make([]SeriesOf, len(keys))
	for i, key := range keys {
		series[i] = SeriesOf{key, make([]Point, len(s.parts))}
		for at, part := range s.parts {
			point := Point{Window: part}
			if sum := s.sums[key][at]; sum != nil {
				point.Figures = sum.figures()
			}
			if activeUsers != nil {
				point.ActiveUsers = &activeUsers[at]
			}
			series[i].Points[at] = point
		}
	}
	return series
}

// Used returns the keys of the series that have use in a part. Series folds some of them.
func (s *SeriesSums) Used(part int) []string {
	var keys []string
	for key, all := range s.sums {
		if sum := all[part]; sum != nil && (sum.counted.Count != 0 || sum.tokens.Used != 0) {
			keys = append(keys, key)
		}
	}
	return keys
}

// fold adds up the series beyond the limit under the key Other, and returns the remaining keys with Other last.
func (s *SeriesSums) fold(keys []string, limit int) []string {
	kept := slices.DeleteFunc(slices.Clone(keys[:limit]), func(key string) bool { return key == Other })
	rest := make([]*sums, len(s.parts))
	for key, all := range s.sums {
		if slices.Contains(kept, key) {
			continue
		}
		for at, sum := range all {
			if sum == nil {
				continue
			}
			if rest[at] == nil {
				rest[at] = &sums{}
			}
			rest[at].merge(sum)
		}
	}
	s.sums[Other] = rest
	return append(kept, Other)
}

// merge adds other's sums.
func (s *sums) merge(other *sums) {
	s.tokens.Add(other.tokens)
	s.cost, s.unpriced = plus(s.cost, other.cost), plus(s.unpriced, other.unpriced)
	s.evidence.Add(other.evidence)
	counted := other.counted
	counted.Durations = sketch.Distribution{}
	s.counted.Merge(counted)
	s.took.Merge(&other.took)
	if s.byStatus == nil {
		s.byStatus = map[Status]int64{}
	}
	for status, n := range other.byStatus {
		s.byStatus[status] += n
	}
}
