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

// spanKeys are hashes of what tells calls of a model apart; 0: it is not told.
type spanKeys struct {
	scope, process int64
	response       int64
	similar        int64 // of process and model, with the scope mixed in: see alike
}

// reports is mixed into the scope of spans that report how calls ended: they are looked up apart.
const reports = 0x5ca1ab1e

// weakResponse is the bit of the hash of a response id that says that other answers may have it as well.
const weakResponse = 2

func (k spanKeys) weak() bool { return k.response&weakResponse != 0 }

// keysOf returns the keys of a call or of a tool's use; none of anything else. A tool's use is not looked up.
func keysOf(s *execution.Span, e *execution.Execution) (k spanKeys) {
	if s.Role != execution.RoleCall && s.Role != execution.RoleTool {
		return k
	}
	k.scope, k.process = hashOf(s.Scope), hashOf(s.Process)
	if s.Role == execution.RoleTool {
		return k
	}
	if s.ResponseID != "" {
		sum := sha256.Sum256([]byte(s.ResponseID)) // users choose it
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

// source is the scope as it is mixed into similar.
func (k spanKeys) source(report bool) int64 {
	if report {
		return (k.scope ^ reports) &^ 1
	}
	return k.scope &^ 1
}

// alike is the similar of another source that tells of the same call.
func (k spanKeys) alike(own, other int64) int64 { return k.similar ^ own ^ other }

// hashOf is FNV-1a, and never 0 where there is a text.
func hashOf(texts ...string) int64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h, said := uint64(offset), false
	for _, text := range texts {
		said = said || text != ""
		for i := range len(text) {
			h = (h ^ uint64(text[i])) * prime
		}
		h = (h ^ 0xff) * prime
	}
	if !said {
		return 0
	}
	return int64(h | 1)
}

// keyText is a key as a span's field.
func keyText(key int64) string {
	if key == 0 {
		return ""
	}
	return strconv.FormatInt(key, 36)
}

// responseText is a response id's key as a span's field. It looks like an id that no other answer has: see spanKeys.weak.
func (k spanKeys) responseText() string {
	if k.response == 0 {
		return ""
	}
	return fmt.Sprintf("id-%016x", uint64(k.response))
}

// The facts of a span that is stored: its role, its status, whether its name is a default, and whether counts add up after it.
const (
	factRole       = 1 // times the role's place in spanRoles
	factStatus     = 8 // times the status' place in spanStatuses
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

// setFacts is the reverse of spanFacts.
func setFacts(s *execution.Span, facts int16) {
	s.Role, s.Status = spanRoles[facts/factRole%8], spanStatuses[facts/factStatus%4]
	s.DefaultName, s.Cumulative = facts&factDefault != 0, facts&factCumulative != 0
}
