package redact

import (
	"encoding/base64"
	"regexp"
	"strings"
)

const (
	// secretWords mark the name of a query parameter, header or field as that of a secret, anywhere in the name.
	// IsSecretName has the same words.
	secretWords = `(?:token|secret|passw(?:or)?d|passphrase|pwd|key|authorization|credential|cookie)`

	assigned = secretWords + `(?:[\w.-]|%(?:25)*(?:5f|2[0de]))*(?:\\*["'])?\]?\s*(?:=|%(?:25)*3d)\s*`
	scheme   = `(?:bearer|basic)(?:\s+|\+|%(?:25)*20)`
	chain    = `(?:[^\s&]*(?:` + assigned + `|` + scheme + `))*` // for nested names: Token:[Bearer x]
	quoted   = `(?:\\+["'][^\n]*|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)`
	value    = chain + `(?:` + quoted + `|[^\s&]+)`
)

// The patterns prefer to remove too much: an unquoted value ends only at a blank or an ampersand. Go's regular
// expressions take linear time for any text.
var (
	// Bearer x, Basic x, also percent-encoded.
	schemePattern = regexp.MustCompile(`(?i)(` + scheme + `)(` + chain + `\S+)`)

	// Agents' tokens: wba_ and letters of base64url.
	agentTokenPattern = regexp.MustCompile(`(?i)wba(?:_|%(?:25)*5f)[a-z0-9_%-]+`)

	// postgres://user:password@host. The password may contain invalid characters: blanks, slashes, an @.
	postgresPattern = regexp.MustCompile(`(?i)postgres(?:ql)?://(?:\S*@|[^\s:/?]*:[^\n@/]*@)?\S*`)
	portPattern     = regexp.MustCompile(`^\d*(?:[^\w]|$)`)

	// scheme://user:password@host for all others.
	userinfoPattern = regexp.MustCompile(`(?i)([a-z][a-z0-9+.-]*://)[^\s/?#]*@`)

	// admin_token=x, password = 'x y', token%3Dx.
	assignPattern = regexp.MustCompile(`(?i)(` + assigned + `)` + value)

	// "token": "x" as in JSON, Token:x and Token:[x] as Go prints structs and maps, token: "x".
	memberPattern = regexp.MustCompile(`(?i)(` + secretWords + `[\w.-]*(?:\\*["']\s*:\s*|:))(?:` + value + `|\s+` + quoted + `)`)

	// Authorization: x as in headers and YAML. Since errors contain a colon and a blank as well ("decode token:
	// unexpected end"), the name must not occur in such texts, or the value must be longer than words are.
	headerPattern = regexp.MustCompile(`(?i)((?:authorization|cookie|x-[\w-]*(?:token|key|secret)|passw(?:or)?d|passphrase|pwd|secret):\s+)[^\r\n]+`)
	yamlPattern   = regexp.MustCompile(`(?i)(` + secretWords + `[\w.-]*:\s+)\S{16,}`)
)

// Text removes secrets from a text of any kind: a message, an error, the value of a panic, a stack. Secrets are agents'
// tokens, what follows Bearer or Basic, passwords in URLs, and what is assigned to a name that contains token, secret,
// password, key, authorization, credential or cookie. A text without one is returned unchanged.
func Text(s string) string {
	found := look(s)
	// Names first, since the other patterns could remove a value's name.
	named := (found.colon || found.equals) && IsSecretName(s)
	if named && found.colon {
		s = headerPattern.ReplaceAllString(s, "${1}"+Mark)
	}
	if named && found.equals {
		s = assignPattern.ReplaceAllString(s, "${1}"+Mark)
	}
	if named && found.colon {
		s = memberPattern.ReplaceAllString(s, "${1}"+Mark)
		s = yamlPattern.ReplaceAllString(s, "${1}"+Mark)
	}
	if found.scheme {
		s = schemePattern.ReplaceAllStringFunc(s, redactScheme)
	}
	if found.colon && strings.Contains(s, "://") {
		if found.postgres {
			s = postgresPattern.ReplaceAllStringFunc(s, redactPostgres)
		}
		if found.at {
			s = userinfoPattern.ReplaceAllStringFunc(s, redactUserinfo)
		}
	}
	if found.agentToken {
		s = agentTokenPattern.ReplaceAllString(s, "wba_"+Mark)
	}
	return s
}

// redactScheme keeps ordinary phrases: "bearer token", "basic checks".
func redactScheme(match string) string {
	parts := schemePattern.FindStringSubmatch(match)
	scheme, word := strings.ToLower(parts[1]), strings.TrimRight(parts[2], ".,:;")
	switch word {
	case "token", "tokens", "auth", "authentication", "authorization":
		return match
	}
	if !strings.Contains(scheme, "bearer") && strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") == "" {
		// A word, unless it is the base64 of user:password.
		decoded, err := base64.RawStdEncoding.DecodeString(word)
		if err != nil || !strings.Contains(string(decoded), ":") {
			return match
		}
	}
	return parts[1] + Mark
}

func redactPostgres(match string) string {
	scheme, rest, _ := strings.Cut(match, "://")
	user, after, found := strings.Cut(rest, ":")
	at := strings.LastIndexByte(after, '@')
	switch {
	case strings.Contains(rest, "://"):
		return scheme + "://" + Mark // a URL within the URL
	case !found || strings.ContainsAny(user, "/?"):
		return match
	case at >= 0:
		return scheme + "://" + user + ":" + Mark + after[at:]
	case strings.Contains(user, "@") || portPattern.MatchString(after):
		return match // host:port
	}
	return scheme + "://" + user + ":" + Mark // cut before the @
}

func redactUserinfo(match string) string {
	scheme, _, _ := strings.Cut(match, "://")
	switch strings.ToLower(scheme) {
	case "postgres", "postgresql":
		return match // already redacted, except the user
	}
	return scheme + "://" + Mark + "@"
}

// marks are the parts that the patterns require in a text. Looking for them first is cheap, and most logged texts have
// none.
type marks struct {
	scheme, agentToken, colon, equals, postgres, at bool
}

func look(s string) (found marks) {
	for i := range len(s) {
		switch s[i] {
		case ':':
			found.colon = true
		case '=', '%':
			found.equals = true
		case '@':
			found.at = true
		case 'p', 'P':
			found.postgres = found.postgres || hasPrefixFold(s[i:], "postgres")
		case 'w', 'W':
			found.agentToken = found.agentToken || hasPrefixFold(s[i:], "wba")
		case 'b', 'B':
			found.scheme = found.scheme || hasPrefixFold(s[i:], "bearer") || hasPrefixFold(s[i:], "basic")
		}
	}
	return found
}

// IsSecretName reports whether s contains one of secretWords.
func IsSecretName(s string) bool {
	for i := range len(s) {
		rest := s[i:]
		var found bool
		switch rest[0] {
		case 't', 'T':
			found = hasPrefixFold(rest, "token")
		case 's', 'S':
			found = hasPrefixFold(rest, "secret")
		case 'p', 'P':
			found = hasPrefixFold(rest, "password") || hasPrefixFold(rest, "passwd") ||
				hasPrefixFold(rest, "passphrase") || hasPrefixFold(rest, "pwd")
		case 'k', 'K':
			found = hasPrefixFold(rest, "key")
		case 'a', 'A':
			found = hasPrefixFold(rest, "authorization")
		case 'c', 'C':
			found = hasPrefixFold(rest, "credential") || hasPrefixFold(rest, "cookie")
		}
		if found {
			return true
		}
	}
	return false
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
