package replica

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/watchbill/watchbill/internal/server"
)

// What is kept of the process' files for other things than the API's connections: the database's and Prometheus'
// connections, logs, the spool, and the gateway's connections to its models.
const (
	reservedFiles     = 48
	metricsFiles      = 16
	maxGatewayFiles   = 1000
	maxConnections    = 1_000_000
	bytesOfConnection = 16 << 10 // what an idle one takes of memory, roughly
	minBudget         = 16 << 20
)

// connectionLimit returns how many connections the API may have: what the limits of files and of memory leave for it.
// files and memory are 0 where there is no limit.
func connectionLimit(files uint64, memory int64, databaseConns int, gateway bool) int {
	limit := maxConnections
	if files > 0 && files < maxConnections {
		reserve := reservedFiles + metricsFiles + databaseConns
		if gateway {
			reserve += min(maxGatewayFiles, int(files)/4)
		}
		limit = min(int(files)*9/10, int(files)-reserve)
	}
	if memory > 0 {
		limit = min(limit, int(memory/2/bytesOfConnection))
	}
	return max(limit, 16)
}

// share returns what part of a memory limit a budget gets: at most its default, which it gets where there is no limit.
func share(memory, part, most int64) int64 {
	if memory <= 0 {
		return most
	}
	return max(minBudget, min(memory/part, most))
}

// budgets returns how much memory bodies and large answers may take.
func (c Config) budgets(memory int64) (bodies, answers int64) {
	bodies, answers = c.BodyMemory, c.AnswerMemory
	if bodies == 0 {
		bodies = share(memory, 8, server.DefaultBodyMemory)
	}
	if answers == 0 {
		answers = share(memory, 16, server.DefaultAnswerMemory)
	}
	return bodies, answers
}

// memoryLimit returns how much memory the process may take: the limit of the Go runtime or of the control group, whichever
// is lower; 0 where there is none.
func memoryLimit() int64 {
	limit := debug.SetMemoryLimit(-1)
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the other version of control groups, or none
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 { // or it is "max"
			limit = min(limit, n)
		}
	}
	if limit > math.MaxInt64/2 { // how version 1 writes that there is none
		return 0
	}
	return limit
}
