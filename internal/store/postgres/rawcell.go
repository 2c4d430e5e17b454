package postgres

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
)

// rawCell is the columns of a rollup or delta of executions, starting with the agent, in the wire format. It is valid
// until the next row is read. There are thousands of rows for a hundred cells: scanning them into variables, which
// allocates a string for each name of a row, took four times as long.
type rawCell [][]byte

// The columns: agent, model, status; request; count … provider_compared_nano_usd; durations.
const (
	rawRequest   = 3
	rawFirst     = 4
	rawSums      = 15
	rawDurations = rawFirst + rawSums
)

// rawCellOf returns the current row's cell and the columns before it.
func rawCellOf(rows pgx.Rows) (before [][]byte, cell rawCell, err error) {
	all := rows.RawValues()
	at := len(all) - rawDurations - 1
	if format := rows.FieldDescriptions()[at+rawFirst].Format; format != pgx.BinaryFormatCode {
		return nil, nil, fmt.Errorf("numbers come in format %d", format)
	}
	return all[:at], all[at:], nil
}

// appendKey appends the columns that identify the cell.
func (c rawCell) appendKey(key []byte) []byte {
	for _, part := range c[:rawFirst] {
		key = append(append(key, part...), 0) // PostgreSQL's text never contains a zero byte
	}
	return key
}

func (c rawCell) agent() string            { return string(c[0]) }
func (c rawCell) model() string            { return string(c[1]) }
func (c rawCell) status() execution.Status { return execution.Status(c[2]) }
func (c rawCell) request() bool            { return c[rawRequest][0] != 0 }
func (c rawCell) durations() []byte        { return c[rawDurations] }

// measures returns the cell's sums multiplied by sign, without durations.
func (c rawCell) measures(sign int64) execution.Measures {
	var n [rawSums]int64
	for i := range n {
		n[i] = sign * int64(binary.BigEndian.Uint64(c[rawFirst+i]))
	}
	return execution.Measures{
		Count: n[0], Micros: n[1], Cost: n[8], Unpriced: n[9],
		Evidence: execution.Evidence{
			UnknownUsage: n[10], Estimated: n[11], Provider: n[12], ProviderUnpriced: n[13], ProviderCompared: n[14],
		},
		Tokens: execution.Tokens{Used: n[2], Input: n[3], Output: n[4], CacheRead: n[5], CacheWrite: n[6], Reasoning: n[7]},
	}
}

// rawSeconds returns a timestamptz column in seconds since 1970.
func rawSeconds(column []byte) int64 {
	return int64(binary.BigEndian.Uint64(column))/int64(time.Second/time.Microsecond) + from1970/int64(time.Second/time.Microsecond)
}
