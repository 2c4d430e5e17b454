package otlp

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// wire is what is left of a message of protobuf's.
type wire string

// next takes the next field: its bytes, or its number.
func (w *wire) next() (field protowire.Number, kind protowire.Type, bytes string, number uint64, ok bool) {
	tag, ok := w.varint()
	if field, kind = protowire.Number(tag>>3), protowire.Type(tag&7); !ok || tag>>3 < 1 || tag>>3 > uint64(protowire.MaxValidNumber) {
		return 0, 0, "", 0, false
	}
	switch kind {
	case protowire.BytesType:
		var length uint64
		if length, ok = w.varint(); ok {
			bytes, ok = w.take(length)
		}
	case protowire.VarintType:
		number, ok = w.varint()
	case protowire.Fixed64Type:
		var all string
		if all, ok = w.take(8); ok {
			for i := range 8 {
				number |= uint64(all[i]) << (8 * i)
			}
		}
	case protowire.Fixed32Type:
		_, ok = w.take(4)
	default: // groups, which nobody uses
		ok = false
	}
	return field, kind, bytes, number, ok
}

func (w *wire) take(length uint64) (string, bool) {
	if length > uint64(len(*w)) {
		return "", false
	}
	taken := string((*w)[:length])
	*w = (*w)[length:]
	return taken, true
}

func (w *wire) varint() (uint64, bool) {
	all := *w
	if len(all) > 0 && all[0] < 0x80 { // nearly always
		*w = all[1:]
		return uint64(all[0]), true
	}
	const most = 10 // bytes
	number := uint64(0)
	for i := range min(len(all), most) {
		b := uint64(all[i])
		if i == most-1 && b > 1 {
			return 0, false
		}
		number |= b & 0x7f << (7 * i)
		if b < 0x80 {
			*w = all[i+1:]
			return number, true
		}
	}
	return 0, false
}
