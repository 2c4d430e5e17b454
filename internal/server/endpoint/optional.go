package endpoint

// Deref returns the value that p points to, or the zero value if p is nil.
func Deref[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}

// UnlessEmpty returns a pointer to s, or nil if s is empty.
func UnlessEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
