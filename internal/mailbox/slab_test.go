package mailbox

import (
	"testing"
	"unsafe"
)

// TestRecordsFillCacheLines checks that a record does not begin within a cache line that another one ends in, and that the
// first has all that is compared to authenticate.
func TestRecordsFillCacheLines(t *testing.T) {
	t.Parallel()
	const line = 64
	var s slab
	number := s.take()
	if size := unsafe.Sizeof(record{}); size%line != 0 {
		t.Errorf("a record has %d bytes", size)
	}
	if address := uintptr(unsafe.Pointer(s.at(number))); address%line != 0 {
		t.Errorf("a block begins %d bytes into a cache line", address%line)
	}
	if end := unsafe.Offsetof(record{}.generation) + unsafe.Sizeof(record{}.generation); end > line {
		t.Errorf("the generation ends at byte %d", end)
	}
}
