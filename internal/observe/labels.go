package observe

import (
	"net/http"
	"strconv"
	"time"
)

// OtherMethod is the method of all requests whose method HTTP does not define.
const OtherMethod = "OTHER"

// MethodLabel keeps the label's values bounded: a client may send any word as a method.
func MethodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	return OtherMethod
}

// OtherStatus stands for codes that no answer should have: it keeps the label's values bounded.
const OtherStatus = 0

// StatusLabel is the value of the label code.
func StatusLabel(code int) string {
	if code == OtherStatus {
		return "other"
	}
	return strconv.Itoa(code)
}

// Milliseconds returns d as figures and logs show it.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
