package telemetry

import (
	"net/http"
	"strconv"
)

// otherStatus stands for codes that no answer should have: it keeps the label's values bounded.
const otherStatus = 0

// statusClientGone is what some servers, nginx first, record when the client went away before the answer.
const statusClientGone = 499

// statusCodes are the status codes with a counter of their own: those that HTTP has registered.
var statusCodes, statusSlots = newStatusSlots()

const maxStatusCodes = 72 // at least len(statusCodes)

func newStatusSlots() (codes []int, slots [600]uint8) {
	codes = []int{otherStatus}
	for code := 100; code < len(slots); code++ {
		if http.StatusText(code) == "" && code != statusClientGone {
			continue
		}
		slots[code] = uint8(len(codes))
		codes = append(codes, code)
	}
	return codes, slots
}

func statusSlot(code int) int {
	if uint(code) >= uint(len(statusSlots)) {
		return otherStatus
	}
	return int(statusSlots[code])
}

// statusLabel is the value of the label code.
func statusLabel(code int) string {
	if code == otherStatus {
		return "other"
	}
	return strconv.Itoa(code)
}
