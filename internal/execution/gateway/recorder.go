package gateway

import (
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/spool"
)

// Recorder records the outcomes of runs.
type Recorder interface {
	// Reserve reserves space to record one run. If it fails the run is not started.
	Reserve() (Reservation, error)
	// Prepare returns the execution as it is recorded: masked, bounded and priced. It does no I/O.
	Prepare(e execution.Execution) (execution.Execution, *execution.Fault)
}

// Reservation is space for one run's record.
type Reservation interface {
	// Append writes the record. It does not wait for the database.
	Append(e execution.Execution) error
	// Release releases the space if nothing was appended.
	Release()
}

// SpoolRecorder returns a Recorder that records prepared executions in a spool.
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
