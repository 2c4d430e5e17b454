package replica

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/watchbill/watchbill/internal/server"
)

// Files reserved for purposes other than the API's connections: connections of the database and Prometheus, logs, the spool,
// and the gateway's connections to its models.
const (
	reservedFiles     = 48
	metricsFiles      = 16
	maxGatewayFiles   = 1000
	maxConnections    = 1_000_000
	bytesOfConnection = 16 << 10 // approximate memory of an idle one
	minBudget         = 16 << 20
)

// connectionLimit returns the maximum number of the API's connections, from the limits of files and memory, which are 0 if
// there is none.
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

// share returns a budget's part of a memory limit, at most its default. Without a limit it returns the default.
func share(memory, part, limit int64) int64 {
	if memory <= 0 {
		return limit
	}
	return max(minBudget, min(memory/part, limit))
}

// budgets returns the memory budgets of request bodies and large responses.
func (c Config) budgets(memory int64) (bodies, responses int64) {
	bodies, responses = c.BodyMemory, c.ResponseMemory
	if bodies == 0 {
		bodies = share(memory, 8, server.DefaultBodyMemory)
	}
	if responses == 0 {
		responses = share(memory, 16, server.DefaultResponseMemory)
	}
	return bodies, responses
}

// memoryLimit returns the process's memory limit, the lower of the Go runtime's and the control group's; 0 if there is none.
func memoryLimit() int64 {
	limit := debug.SetMemoryLimit(-1)
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // another version of control groups, or no control group
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 { // or it is "max"
			limit = min(limit, n)
		}
	}
	if limit > math.MaxInt64/2 { // no limit in version 1
		return 0
	}
	return limit
}
