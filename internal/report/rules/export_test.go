package rules

// SizeAtMost is the bound of a file's size, for tests that compare it with the size.
func (f File) SizeAtMost() int { return f.sizeAtMost() }
