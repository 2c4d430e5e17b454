package metrics

import (
	"net/http"

	"github.com/watchbill/watchbill/internal/observe"
)

// statusClientGone is what some servers, nginx first, record when the client went away before the answer.
const statusClientGone = 499

// statusCodes are the status codes with a counter of their own: those that HTTP has registered.
var statusCodes, statusSlots = newStatusSlots()

const maxStatusCodes = 72 // at least len(statusCodes)

func newStatusSlots() (codes []int, slots [600]uint8) {
	codes = []int{observe.OtherStatus}
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
		return observe.OtherStatus
	}
	return int(statusSlots[code])
}
