package postgres

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/trace"
)

// spanKeys are hashes by which spans of the same model call are found. A hash is 0 if the span lacks the value.
type spanKeys struct {
	scope, process int64
	response       int64
	similar        int64 // of process and model, XORed with the source: see alike
}

// reports is XORed into the scope of spans that report how calls ended, since they are looked up separately.
const reports = 0x5ca1ab1e

// weakResponse is the bit in the hash of a response id that is set if other responses may have the same id.
const weakResponse = 2

func (k spanKeys) weak() bool { return k.response&weakResponse != 0 }

// keysOf returns the keys of a call or of a tool's use, and zero keys for other spans. Tool uses are not looked up.
func keysOf(s *execution.Span, e *execution.Execution) (k spanKeys) {
	if s.Role != execution.RoleCall && s.Role != execution.RoleTool {
		return k
	}
	k.scope, k.process = hashOf(s.Scope), hashOf(s.Process)
	if s.Role == execution.RoleTool {
		return k
	}
	if s.ResponseID != "" {
		sum := sha256.Sum256([]byte(s.ResponseID)) // clients choose the id, so collisions must be hard to construct
		k.response = int64(binary.LittleEndian.Uint64(sum[:])&^weakResponse | 1)
		if trace.WeakResponse(s.ResponseID) {
			k.response |= weakResponse
		}
	}
	if e != nil && s.Process != "" {
		k.similar = (hashOf(s.Process, trace.PlainModel(e.Model)) ^ k.source(trace.Reports(s))) | 1
	}
	return k
}

// source returns the scope as it is XORed into similar.
func (k spanKeys) source(report bool) int64 {
	if report {
		return (k.scope ^ reports) &^ 1
	}
	return k.scope &^ 1
}

// alike returns the similar key that the same call has in another source.
func (k spanKeys) alike(own, other int64) int64 { return k.similar ^ own ^ other }

// hashOf returns the FNV-1a hash of texts. It is 0 if and only if all texts are empty.
func hashOf(texts ...string) int64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h, found := uint64(offset), false
	for _, text := range texts {
		found = found || text != ""
		for i := range len(text) {
			h = (h ^ uint64(text[i])) * prime
		}
		h = (h ^ 0xff) * prime
	}
	if !found {
		return 0
	}
	return int64(h | 1)
}

// keyText returns a key as the value of a span's field.
func keyText(key int64) string {
	if key == 0 {
		return ""
	}
	return strconv.FormatInt(key, 36)
}

// responseText returns a response id's key as the value of a span's field. The text is never a weak id by itself;
// whether the id is weak is recorded in the key: see spanKeys.weak.
func (k spanKeys) responseText() string {
	if k.response == 0 {
		return ""
	}
	return fmt.Sprintf("id-%016x", uint64(k.response))
}

// The facts of a stored span: its role, its status, whether its name is a default, and whether its usage is cumulative.
const (
	factRole       = 1 // multiplied by the role's index in spanRoles
	factStatus     = 8 // multiplied by the status's index in spanStatuses
	factDefault    = 32
	factCumulative = 64
)

var (
	spanRoles    = [8]execution.Role{execution.RoleNone, execution.RoleRun, execution.RoleStep, execution.RoleCall, execution.RoleTool}
	spanStatuses = [4]execution.Status{"", execution.Success, execution.Failure, execution.Timeout}
)

func spanFacts(s *execution.Span) (facts int16) {
	facts = int16(max(slices.Index(spanRoles[:], s.Role), 0)*factRole + max(slices.Index(spanStatuses[:], s.Status), 0)*factStatus)
	if s.DefaultName {
		facts += factDefault
	}
	if s.Cumulative {
		facts += factCumulative
	}
	return facts
}

// setFacts is the inverse of spanFacts.
func setFacts(s *execution.Span, facts int16) {
	s.Role, s.Status = spanRoles[facts/factRole%8], spanStatuses[facts/factStatus%4]
	s.DefaultName, s.Cumulative = facts&factDefault != 0, facts&factCumulative != 0
}
