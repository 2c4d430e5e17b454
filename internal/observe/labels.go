package observe

import (
	"net/http"
	"strconv"
	"time"
)

// OtherMethod is the label of all methods that HTTP does not define.
const OtherMethod = "OTHER"

// MethodLabel returns the value of the label method. It is OtherMethod for methods that HTTP does not define, since a
// client may send any word.
func MethodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	return OtherMethod
}

// OtherStatus represents codes that no response should have. It keeps the label's values bounded.
const OtherStatus = 0

// StatusLabel returns the value of the label code.
func StatusLabel(code int) string {
	if code == OtherStatus {
		return "other"
	}
	return strconv.Itoa(code)
}

// Milliseconds returns d in milliseconds, as figures and logs show it.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
