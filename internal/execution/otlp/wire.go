package otlp

import "google.golang.org/protobuf/encoding/protowire"

// wire reads the fields of a protobuf message.
type wire struct {
	message string
	at      int
}

// ends reports whether the whole message was read.
func (w *wire) ends() bool { return w.at == len(w.message) }

// next reads the next field: its bytes, or its number.
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
		if bytes, ok = w.take(8); ok {
			number = uint64(bytes[0]) | uint64(bytes[1])<<8 | uint64(bytes[2])<<16 | uint64(bytes[3])<<24 |
				uint64(bytes[4])<<32 | uint64(bytes[5])<<40 | uint64(bytes[6])<<48 | uint64(bytes[7])<<56
		}
	case protowire.Fixed32Type:
		_, ok = w.take(4)
	default: // groups, which nobody uses
		ok = false
	}
	return field, kind, bytes, number, ok
}

func (w *wire) take(length uint64) (string, bool) {
	if length > uint64(len(w.message)-w.at) {
		return "", false
	}
	from := w.at
	w.at += int(length)
	return w.message[from:w.at], true
}

func (w *wire) varint() (uint64, bool) {
	if w.at < len(w.message) && w.message[w.at] < 0x80 { // nearly always
		w.at++
		return uint64(w.message[w.at-1]), true
	}
	return w.longVarint()
}

func (w *wire) longVarint() (number uint64, ok bool) {
	const last = 9 // index of the last byte of a varint
	for i := 0; i <= last && w.at < len(w.message); i++ {
		b := uint64(w.message[w.at])
		w.at++
		if i == last && b > 1 {
			return 0, false
		}
		number |= b & 0x7f << (7 * i)
		if b < 0x80 {
			return number, true
		}
	}
	return 0, false
}
