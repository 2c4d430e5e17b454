package redact

// runLength returns how many bytes at the beginning of a text are of a kind.
func runLength(text string, is func(byte) bool) int {
	for i := range len(text) {
		if !is(text[i]) {
			return i
		}
	}
	return len(text)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isUpperAlphanumeric(c byte) bool { return 'A' <= c && c <= 'Z' || isDigit(c) }

func isAlphanumeric(c byte) bool { return 'a' <= c && c <= 'z' || isUpperAlphanumeric(c) }

// isToken reports whether a byte is one of base64 for URLs.
func isToken(c byte) bool { return isAlphanumeric(c) || c == '-' || c == '_' }

// isJWT reports whether a byte is one of base64 for URLs, or the dot between the parts of a token.
func isJWT(c byte) bool { return isToken(c) || c == '.' }

func isBase64(c byte) bool { return isAlphanumeric(c) || c == '+' || c == '/' || c == '=' }

// isBearer reports whether a byte may be in a bearer token (RFC 6750).
func isBearer(c byte) bool { return isJWT(c) || isBase64(c) || c == '~' }

// isWordByte reports whether a byte may be inside a word.
func isWordByte(c byte) bool { return isAlphanumeric(c) || c == '_' }

func isSeparator(c byte) bool { return c == ' ' || c == '-' }
