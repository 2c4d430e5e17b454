package rules

// SizeAtMost returns the upper bound of a file's size.
func (f File) SizeAtMost() int { return f.sizeAtMost() }
