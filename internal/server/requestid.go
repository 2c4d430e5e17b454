package server

import (
	"net/http"
	"strconv"
)

// requestID returns the client's id of its request if it is valid, or generates one.
func (s *Server) requestID(r *http.Request) string {
	if given := r.Header["X-Request-Id"]; len(given) == 1 && isRequestID(given[0]) {
		return given[0]
	}
	var buffer [32]byte
	id := append(buffer[:0], s.idStart...)
	return string(strconv.AppendUint(id, s.idCount.Add(1), 36))
}

func isRequestID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == ':':
		default:
			return false
		}
	}
	return true
}
