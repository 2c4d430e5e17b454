package metrics

import (
	"net/http"

	"github.com/watchbill/watchbill/internal/observe"
)

// statusClientGone is what nginx and other servers record if the client disconnects before the response.
const statusClientGone = 499

// statusCodes are the status codes with their own counters: those registered for HTTP.
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
