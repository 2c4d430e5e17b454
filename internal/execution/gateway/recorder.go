package gateway

import (
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/spool"
)

// Recorder keeps what became of runs.
type Recorder interface {
	// Reserve makes sure that one run can be recorded. An error says why it cannot: then the run does not begin.
	Reserve() (Reservation, error)
	// Prepare makes of an execution what is kept of it: masked, bounded and priced. It takes no I/O.
	Prepare(e execution.Execution) (execution.Execution, *execution.Fault)
}

// Reservation is room for one run's record.
type Reservation interface {
	// Append writes the record. It waits for no database.
	Append(e execution.Execution) error
	// Release gives the room back if nothing was appended.
	Release()
}

// SpoolRecorder records in a spool what prepare makes of executions.
func SpoolRecorder(s *spool.Spool, prepare func(execution.Execution) (execution.Execution, *execution.Fault)) Recorder {
	return spoolRecorder{s, prepare}
}

type spoolRecorder struct {
	spool   *spool.Spool
	prepare func(execution.Execution) (execution.Execution, *execution.Fault)
}

func (r spoolRecorder) Reserve() (Reservation, error) {
	reservation, err := r.spool.Reserve()
	if err != nil {
		return nil, err
	}
	return reservation, nil
}

func (r spoolRecorder) Prepare(e execution.Execution) (execution.Execution, *execution.Fault) {
	return r.prepare(e)
}
