package rig

import "time"

// CPU returns the CPU time of all the server's processes, running and ended.
func (p *Postgres) CPU() (time.Duration, error) {
	total, err := cpuOf(p.process.PID(), true)
	if err != nil {
		return 0, err
	}
	for _, pid := range childrenOf(p.process.PID()) {
		if spent, err := cpuOf(pid, false); err == nil { // otherwise it has just ended and is counted next time
			total += spent
		}
	}
	return total, nil
}
