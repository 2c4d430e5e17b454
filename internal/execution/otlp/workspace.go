package otlp

import (
	"encoding/hex"
	"strings"
	"sync"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/memo"
)

// workspace is memory that is reused for translating exports.
type workspace struct {
	spans []span           // spans with valid ids
	ids   []byte           // their ids as text
	seen  map[spanKey]bool // their ids
	runs  map[string]bool  // traces with executions; nil until needed
	texts texts

	contents []byte // the unused rest of a block for contents; blocks are not reused
}

// spanKey is the ids of a span.
type spanKey struct {
	trace [traceIDSize]byte
	span  [spanIDSize]byte
}

// maxKeptSpans limits the memory that is kept for reuse, to a few MiB.
const maxKeptSpans = 4096

var workspaces = sync.Pool{New: func() any { return &workspace{seen: map[spanKey]bool{}} }}

func (w *workspace) release() {
	if cap(w.spans) > maxKeptSpans {
		return
	}
	clear(w.spans)
	clear(w.seen)
	w.spans, w.ids, w.runs = w.spans[:0], w.ids[:0], nil
	workspaces.Put(w)
}

// collect collects the spans of an export that have valid ids.
func (w *workspace) collect(export *collectorpb.ExportTraceServiceRequest, t *translation) {
	for _, ofResource := range export.GetResourceSpans() {
		resource := collect(ofResource.GetResource().GetAttributes())
		process := processOf(ofResource.GetResource().GetAttributes())
		for _, ofScope := range ofResource.GetScopeSpans() {
			scope := w.texts.keep(toName(ofScope.GetScope().GetName(), execution.MaxName))
			attrs := collect(ofScope.GetScope().GetAttributes())
			around := newAround(&attrs, &resource)
			for _, sent := range ofScope.GetSpans() {
				if wrong := checkIDs(sent); wrong != nil {
					t.faults = append(t.faults, *wrong)
					continue
				}
				s := w.next()
				s.sent, s.around, s.scope, s.process, s.work = sent, around, scope, process, w
				s.attributes.collect(sent.GetAttributes())
				s.role, s.known = roleOf(sent.GetName(), scope, &s.attributes)
			}
		}
	}
	w.nameAll()
}

// next returns an empty span. It is valid until the next call.
func (w *workspace) next() *span {
	if len(w.spans) == cap(w.spans) {
		w.spans = append(w.spans, span{})
	} else {
		w.spans = w.spans[:len(w.spans)+1] // cleared by release
	}
	return &w.spans[len(w.spans)-1]
}

// nameAll encodes the spans' ids in hexadecimal, all in one string: for each span an execution id, which contains the
// ids of the trace and the span, and the parent's id.
func (w *workspace) nameAll() {
	for i := range w.spans {
		sent := w.spans[i].sent
		w.ids = hex.AppendEncode(w.ids, sent.GetTraceId())
		w.ids = append(w.ids, '-')
		w.ids = hex.AppendEncode(w.ids, sent.GetSpanId())
		if !allZero(sent.GetParentSpanId()) {
			w.ids = hex.AppendEncode(w.ids, sent.GetParentSpanId())
		}
	}
	const trace, whole, parent = 2 * traceIDSize, 2*traceIDSize + 1 + 2*spanIDSize, 2 * spanIDSize
	rest := string(w.ids)
	for i := range w.spans {
		s := &w.spans[i]
		s.executionID, rest = rest[:whole], rest[whole:]
		s.traceID, s.id = s.executionID[:trace], s.executionID[trace+1:]
		if !allZero(s.sent.GetParentSpanId()) {
			s.parentID, rest = rest[:parent], rest[parent:]
		}
	}
}

// twice reports whether a span is a duplicate, and records it.
func (w *workspace) twice(s *span) bool {
	key := spanKey{[traceIDSize]byte(s.sent.GetTraceId()), [spanIDSize]byte(s.sent.GetSpanId())}
	if w.seen[key] {
		return true
	}
	w.seen[key] = true
	return false
}

// executing reports whether a trace has executions.
func (w *workspace) executing(trace string) bool {
	if w.runs == nil {
		w.runs = map[string]bool{}
		for i := range w.spans {
			if _, executes := w.spans[i].executes(); executes {
				w.runs[w.spans[i].traceID] = true
			}
		}
	}
	return w.runs[trace]
}

// texts caches copies of recent short texts by hash.
type texts [512]string

// keep returns a copy of a text that does not refer to the export.
func (t *texts) keep(text string) string {
	const short = 64 // bytes
	if len(text) > short {
		return strings.Clone(text)
	}
	at := &t[memo.Hash(text)%uint(len(t))]
	if *at != text {
		*at = strings.Clone(text)
	}
	return *at
}

const (
	contentBlock = 16 << 10 // bytes
	maxContent   = contentBlock / 8
)

// content returns a copy of a text for an execution. Short ones share a block of memory.
func (w *workspace) content(text string) []byte {
	if w == nil || len(text) > maxContent {
		return []byte(text)
	}
	if len(text) > len(w.contents) {
		w.contents = make([]byte, contentBlock)
	}
	n := copy(w.contents, text)
	taken := w.contents[:n:n]
	w.contents = w.contents[n:]
	return taken
}
