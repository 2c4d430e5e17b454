package metrics

import (
	"strings"

	"github.com/watchbill/watchbill/internal/redact"
)

// otherLabel replaces clients' names that are not shown.
const otherLabel = "other"

const (
	maxLabelWord = 40 // letters and digits in a row
	// A word of idWord letters and digits, idDigits of them digits, may be an id, a key or a telephone number.
	idWord   = 8
	idDigits = 3
)

// clientLabel returns the label value for a name from a client. A name that does not look like that of a library or an
// attribute becomes "other": labels are visible to all readers of the metrics, so they must not contain an address, an
// id or a key.
func clientLabel(name string, limit int) string {
	if name == "" || len(name) > limit || redact.Text(name) != name {
		return otherLabel
	}
	letters, digits := 0, 0 // of the word
	for i := range len(name) {
		switch c := name[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			letters++
		case strings.IndexByte(" ._-:/", c) >= 0, c == '@' && i == 0: // as in npm packages
			letters, digits = 0, 0
		default:
			return otherLabel
		}
		if letters+digits > maxLabelWord || letters+digits >= idWord && digits >= idDigits {
			return otherLabel
		}
	}
	return name
}
