package rig

import "time"

// CPU is the time that the server has computed for: its processes that are there, and those that have ended.
func (p *Postgres) CPU() (time.Duration, error) {
	total, err := cpuOf(p.process.PID(), true)
	if err != nil {
		return 0, err
	}
	for _, pid := range childrenOf(p.process.PID()) {
		if spent, err := cpuOf(pid, false); err == nil { // else it has just ended, and counts as such next time
			total += spent
		}
	}
	return total, nil
}
