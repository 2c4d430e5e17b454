package execution

import "time"

// The widths of the rollups' buckets. A delta belongs to the narrowest of its table.
const (
	MinuteWide  = time.Minute
	QuarterWide = 15 * time.Minute
	HourWide    = time.Hour
	DayWide     = 24 * time.Hour
)

// Capped is the set of an execution's names that the rollups count as Other. It is stored with the row, so that figures
// are subtracted from where they were added.
type Capped int16

// The bits of Capped.
const (
	CappedAgent Capped = 1
	CappedModel Capped = 2
)

// Row is a stored execution.
type Row struct {
	Execution
	Capped Capped
}

// Committed is the result of a committed batch.
type Committed struct {
	// New reports for each execution whether it was stored; the others are duplicates.
	New []bool
	// Erased reports for each execution whether it was dropped because its user was erased after it began; nil if none
	// was.
	Erased []bool
	// Settled are the new executions that no late ancestor will change.
	Settled []Execution
}

// CellKey identifies a cell of a minute.
type CellKey struct {
	Minute       int64 // seconds since 1970
	Agent, Model string
	Status       Status
	Request      bool
}

// UserKey identifies a user's usage of a model in a quarter of an hour.
type UserKey struct {
	Quarter     int64 // seconds since 1970
	User, Model string
}

// Deltas are the changes of the rollups that follow from changes of executions.
type Deltas struct {
	Cells map[CellKey]*Measures
	Users map[UserKey]*Spend
}

// NewDeltas returns empty Deltas.
func NewDeltas() Deltas {
	return Deltas{Cells: map[CellKey]*Measures{}, Users: map[UserKey]*Spend{}}
}

// Add adds a row with sign 1 and subtracts it with sign -1.
func (d Deltas) Add(r *Row, sign int64) {
	d.cell(r).Add(&r.Execution, sign)
	var one Measures
	one.addFigures(&r.Execution, sign)
	spend := Spend{Tokens: one.Tokens, Cost: one.Cost, Unpriced: one.Unpriced, Evidence: one.Evidence}
	if r.Request {
		spend.Requests = sign
	}
	d.user(r).Add(spend)
}

// Reprice adds a row's change of price; was is its previous cost.
func (d Deltas) Reprice(r *Row, was *int64) {
	before := r.Execution
	before.Cost = was
	var change Measures
	change.Add(&r.Execution, 1)
	change.Add(&before, -1)
	d.cell(r).Merge(change)
	d.user(r).Add(Spend{Cost: change.Cost, Unpriced: change.Unpriced, Evidence: change.Evidence})
}

func (d Deltas) cell(r *Row) *Measures {
	agent, model := r.names()
	key := CellKey{floor(r.CreatedAt, MinuteWide), agent, model, r.Status, r.Request}
	sum := d.Cells[key]
	if sum == nil {
		sum = &Measures{}
		d.Cells[key] = sum
	}
	return sum
}

func (d Deltas) user(r *Row) *Spend {
	_, model := r.names()
	key := UserKey{floor(r.CreatedAt, QuarterWide), r.UserID, model}
	sum := d.Users[key]
	if sum == nil {
		sum = &Spend{}
		d.Users[key] = sum
	}
	return sum
}

// names returns the row's agent and model in the rollups.
func (r *Row) names() (agent, model string) {
	agent, model = r.AgentName, r.Model
	if r.Capped&CappedAgent != 0 {
		agent = Other
	}
	if r.Capped&CappedModel != 0 {
		model = Other
	}
	return agent, model
}

func floor(t time.Time, width time.Duration) int64 {
	seconds := int64(width / time.Second)
	at := t.Unix()
	below := at % seconds
	if below < 0 {
		below += seconds
	}
	return at - below
}
