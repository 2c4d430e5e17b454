package server

import (
	"strings"

	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/server/endpoint"
)

// loggedPath returns the path of a request for the log, with a fingerprint in place of a user's id. If users are stored
// under pseudonyms, queries and unknown paths are redacted too, since they may contain ids.
func (s *Server) loggedPath(x *endpoint.Exchange) string {
	const user = "{user_id}"
	switch {
	case strings.Contains(x.Pattern, user):
		return strings.Replace(x.Pattern, user, s.shared.Fingerprint(x.Param), 1)
	case s.shared.Pseudonym == nil:
		return x.Request.RequestURI
	case x.Pattern == metrics.UnmatchedRoute:
		return "[redacted]"
	}
	path, _, asked := strings.Cut(x.Request.RequestURI, "?")
	if asked {
		path += "?[redacted]"
	}
	return path
}
