package logging

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/watchbill/watchbill/internal/redact"
	"github.com/watchbill/watchbill/internal/text"
)

const (
	maxLogText   = 32 << 10 // bytes of one message, stack or field
	maxSentText  = 4 << 10  // bytes; longer text from a client is not worth the time to redact
	minSecretLen = 4        // shorter ones occur in words
)

// tooLong replaces text that is too long to be redacted.
const tooLong = "[too long]"

// redactor redacts text to be logged: the secrets that redact.Text finds and the known ones.
type redactor struct {
	known []string
	reach int // bytes of the longest known secret, percent-encoded redact.MaxLayers times
}

func newRedactor(secrets []string) redactor {
	var r redactor
	for _, list := range secrets {
		for secret := range strings.SplitSeq(list, ",") {
			r.learn(strings.TrimSpace(secret))
		}
		r.learn(list)
	}
	// The longest first: otherwise part of a secret would remain if another is its prefix.
	slices.SortStableFunc(r.known, func(a, b string) int { return len(b) - len(a) })
	return r
}

func (r *redactor) learn(secret string) {
	if len(secret) < minSecretLen {
		return
	}
	const encoded = len("%25252541") + 2 // a letter encoded redact.MaxLayers times
	r.reach = max(r.reach, encoded*len(secret))
	for _, spelled := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
		if !slices.Contains(r.known, spelled) {
			r.known = append(r.known, spelled)
		}
	}
}

func (r redactor) withoutKnown(s string) string {
	for _, secret := range r.known {
		s = strings.ReplaceAll(s, secret, redact.Mark)
	}
	return s
}

// hidesKnown reports whether s, percent-decoded, contains a known secret, which clients may encode in many ways.
func (r redactor) hidesKnown(s string) bool {
	if !strings.Contains(s, "%") {
		return false
	}
	decoded, _ := redact.Decode(s)
	return slices.ContainsFunc(r.known, func(secret string) bool {
		return strings.Contains(decoded, strings.ReplaceAll(secret, "+", " ")) // as redact.Decode returns it
	})
}

// text redacts s and then cuts it to maxLogText bytes, since part of a secret would not be recognized. Only text that
// would take too long to redact is also cut before.
func (r redactor) text(s string) string {
	return text.Fit(redact.Text(r.withoutKnown(text.Fit(s, 8*maxLogText))), maxLogText)
}

// sent redacts a client's text and returns valid UTF-8 of at most limit bytes.
func (r redactor) sent(s string, limit int) string {
	return r.sentBy(r.text, s, limit)
}

// sentURL is like sent, for a path with its query.
func (r redactor) sentURL(s string, limit int) string {
	if len(s) > maxSentText {
		path, _, asked := strings.Cut(s, "?")
		if !asked || len(path) > maxSentText {
			return tooLong
		}
		return r.sentURL(path, limit-len("?"+tooLong)) + "?" + tooLong
	}
	return r.sentBy(func(s string) string { return redact.URL(r.withoutKnown(s)) }, s, limit)
}

// sentBy redacts at most twice as many bytes of a text as may be shown, since a client can make redacting expensive.
func (r redactor) sentBy(masker func(string) string, s string, limit int) string {
	if len(s) > maxSentText {
		return tooLong
	}
	head, cut := r.head(s, 2*limit)
	if r.hidesKnown(s[:min(len(s), len(head)+r.reach)]) {
		return redact.Mark
	}
	clean := masker(head)
	if cut {
		clean = settled(clean) + "…"
	}
	return text.Fit(strings.ToValidUTF8(clean, "\uFFFD"), limit)
}

// head returns the first limit bytes of a text, or fewer so that it does not end inside a known secret.
func (r redactor) head(s string, limit int) (head string, cut bool) {
	if len(s) <= limit {
		return s, false
	}
	end := limit
	for again := true; again; {
		again = false
		for _, secret := range r.known {
			from, to := max(end-len(secret)+1, 0), min(end+len(secret)-1, len(s))
			if i := strings.Index(s[from:to], secret); i >= 0 {
				end, again = from+i, true
			}
		}
	}
	return s[:end], true
}

// settled returns the beginning of a redacted text that was cut, without the end that could be part of a secret: the
// last word or parameter, and what may be the user and password of a URL.
func settled(s string) string {
	s = s[:strings.LastIndexAny(s, "/?#&; \t\r\n")+1]
	if i := strings.LastIndex(s, "://"); i >= 0 && !strings.Contains(s[i:], "@") {
		s = s[:i]
	}
	return s
}

// redactingCore redacts messages, stacks and fields, including those of With, and queues the line for its outputs.
type redactingCore struct {
	zapcore.LevelEnabler
	encoder zapcore.Encoder
	outputs []*output
	redact  redactor
}

func (c *redactingCore) With(fields []zapcore.Field) zapcore.Core {
	encoder := c.encoder.Clone()
	for _, field := range c.redact.fields(fields) {
		field.AddTo(encoder)
	}
	return &redactingCore{c.LevelEnabler, encoder, c.outputs, c.redact}
}

func (c *redactingCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

func (c *redactingCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	entry.Message = c.redact.text(entry.Message)
	entry.Stack = c.redact.text(entry.Stack)
	line, err := c.encoder.EncodeEntry(entry, c.redact.fields(fields))
	if err != nil {
		return err
	}
	for _, o := range c.outputs {
		o.add(line.Bytes(), entry.Level >= zapcore.WarnLevel)
	}
	line.Free()
	if entry.Level > zapcore.ErrorLevel {
		return c.Sync() // the program may be about to end
	}
	return nil
}

// Sync waits until the lines logged before are written to the outputs, or for at most two seconds.
func (c *redactingCore) Sync() error {
	ctx, cancel := context.WithTimeout(context.Background(), flushWithin)
	defer cancel()
	for _, o := range c.outputs {
		o.flush(ctx)
	}
	return nil
}

// fields returns redacted fields. It does not modify the caller's slice, and copies it only if a field changes.
func (r redactor) fields(fields []zapcore.Field) []zapcore.Field {
	var out []zapcore.Field
	for i, field := range fields {
		clean := r.field(field)
		same := clean.Type == field.Type && clean.String == field.String && !composite(field.Type)
		if out == nil && same {
			continue
		}
		if out == nil {
			out = append(make([]zapcore.Field, 0, len(fields)+1), fields[:i]...)
		}
		if composite(field.Type) {
			out = append(out, r.members(field)...)
		} else {
			out = append(out, clean)
		}
	}
	if out == nil {
		return fields
	}
	return out
}

// field returns a redacted field for one with a single value. Numbers, times and similar values are unchanged.
func (r redactor) field(field zapcore.Field) zapcore.Field {
	switch field.Type {
	case zapcore.StringType:
		return zap.String(field.Key, r.named(field.Key, field.String))
	case zapcore.ByteStringType:
		return zap.String(field.Key, r.named(field.Key, string(field.Interface.([]byte))))
	case zapcore.BinaryType:
		return zap.String(field.Key, sizeOnly(field.Interface.([]byte)))
	case zapcore.ErrorType, zapcore.StringerType:
		// fmt recovers from methods that panic. zap would add an error's verbose form, which adds nothing to our
		// errors.
		return zap.String(field.Key, r.named(field.Key, fmt.Sprint(field.Interface)))
	}
	return field
}

func composite(t zapcore.FieldType) bool {
	switch t {
	case zapcore.ArrayMarshalerType, zapcore.ObjectMarshalerType, zapcore.InlineMarshalerType, zapcore.ReflectType:
		return true
	}
	return false
}

// members returns the redacted form of a composite field: one field, or those that it would put inline.
func (r redactor) members(field zapcore.Field) []zapcore.Field {
	encoder := zapcore.NewMapObjectEncoder()
	field.AddTo(encoder)
	var clean []zapcore.Field
	for _, key := range slices.Sorted(maps.Keys(encoder.Fields)) {
		clean = append(clean, zap.Reflect(key, r.value(key, encoder.Fields[key])))
	}
	return clean
}

// named redacts the value of a name. All of it is redacted if the name is that of a secret.
func (r redactor) named(name, text string) string {
	if text != "" && redact.IsSecretName(name) {
		return redact.Mark
	}
	return r.text(text)
}

// value redacts the strings in a composite value, under their JSON names.
func (r redactor) value(name string, value any) any {
	switch v := value.(type) {
	case nil, bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, uintptr, float32, float64, time.Time, json.Number:
		return v
	case time.Duration:
		return v.String()
	case complex64, complex128:
		return fmt.Sprint(v)
	}
	if redact.IsSecretName(name) {
		return redact.Mark
	}
	switch v := value.(type) {
	case string:
		return r.text(v)
	case []byte:
		return sizeOnly(v)
	case error:
		return r.text(fmt.Sprint(v))
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, member := range v {
			out[r.text(key)] = r.value(key, member)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = r.value("", element)
		}
		return out
	}
	generic, err := viaJSON(value)
	if err != nil {
		return fmt.Sprintf("a %T that is not JSON", value)
	}
	return r.value(name, generic)
}

func viaJSON(value any) (generic any, err error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	err = decoder.Decode(&generic)
	return generic, err
}

func sizeOnly(b []byte) string { return fmt.Sprintf("%d bytes", len(b)) }
