package redact

import "strings"

// MaxLayers is the limit of layers of percent-encoding. A text with more counts as hiding a secret.
const MaxLayers = 5

// URL removes secrets from a URL or a request's path with its query, which may be malformed.
func URL(raw string) string {
	raw = Text(raw)
	end := strings.IndexAny(raw, "?#")
	if end < 0 {
		end = len(raw)
	}
	path := raw[:end]
	if hidesSecret(path) {
		path = Mark
	}
	return path + Query(raw[end:])
}

// Query removes secrets from a query string: the values of parameters with names of secrets, in any case and
// percent-encoded, and values that contain, when decoded, a secret that Text finds. The query may be malformed, begin
// with a question mark and end with a fragment.
func Query(query string) string {
	var out strings.Builder
	for {
		end := strings.IndexAny(query, "&;?#")
		if end < 0 {
			out.WriteString(redactParameter(query))
			return out.String()
		}
		out.WriteString(redactParameter(query[:end]))
		out.WriteByte(query[end])
		query = query[end+1:]
	}
}

func redactParameter(parameter string) string {
	name, value, assigned := strings.Cut(parameter, "=")
	decoded, ok := Decode(name)
	switch {
	case !ok || Text(decoded) != decoded:
		return Mark
	case assigned && (IsSecretName(decoded) || hidesSecret(value)):
		return name + "=" + Mark
	}
	return parameter
}

// hidesSecret reports whether s, percent-decoded, is a text that Text changes, or has more than MaxLayers layers of
// encoding.
func hidesSecret(s string) bool {
	decoded, ok := Decode(s)
	return !ok || Text(decoded) != decoded
}

// Decode removes percent-encoding until none is left. Malformed encoding is unchanged. It returns false if there are
// more than MaxLayers layers.
func Decode(s string) (string, bool) {
	for range MaxLayers {
		next := decodeOnce(s)
		if next == s {
			return s, true
		}
		s = next
	}
	return s, decodeOnce(s) == s
}

func decodeOnce(s string) string {
	if !strings.Contains(s, "%") {
		return strings.ReplaceAll(s, "+", " ")
	}
	var out strings.Builder
	out.Grow(len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			out.WriteByte(' ')
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			out.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
		default:
			out.WriteByte(s[i])
		}
	}
	return out.String()
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&0xf + 9
}
