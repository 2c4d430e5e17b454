package report

import "strings"

// markup is HTML being written. Its literals are constants, and all data is escaped: fixed is not the type of any data, so
// that a string cannot become markup by mistake.
type markup struct{ strings.Builder }

// fixed is a constant part of a page.
type fixed string

// escape replaces what ends a text or a quoted attribute, as html/template does. It is safe in those two places alone.
var escape = strings.NewReplacer("\x00", "\uFFFD", `"`, "&#34;", "&", "&amp;", "'", "&#39;", "+", "&#43;", "<", "&lt;", ">", "&gt;")

// put writes parts without change.
func (m *markup) put(parts ...fixed) {
	for _, part := range parts {
		m.WriteString(string(part))
	}
}

// text writes data between before and after, which place it in a text or in a quoted attribute.
func (m *markup) text(before fixed, data string, after fixed) {
	m.WriteString(string(before))
	_, _ = escape.WriteString(m, data) // a Builder returns no error
	m.WriteString(string(after))
}

// optional is text that is left out with what surrounds it if data is empty.
func (m *markup) optional(before fixed, data string, after fixed) {
	if data != "" {
		m.text(before, data, after)
	}
}
