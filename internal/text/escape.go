package text

// HexUnit returns the UTF-16 code unit of the escape sequence at i, or -1 if there is none.
func HexUnit(raw []byte, i int) int {
	if len(raw)-i < len(`\u0000`) || raw[i] != '\\' || raw[i+1] != 'u' {
		return -1
	}
	unit := 0
	for _, c := range raw[i+2 : i+6] {
		switch {
		case '0' <= c && c <= '9':
			unit = unit<<4 | int(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			unit = unit<<4 | int(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return unit
}
