package fleet

// LogTail returns the part of a chunk starting at offset that is new to a log ending at end: nothing of a repeated chunk,
// the tail of an overlapping one. It returns ErrLogGap if bytes between would be missing and ErrLogFull if the log would
// exceed MaxLog.
func LogTail(end, offset int64, chunk []byte) ([]byte, error) {
	if offset > end {
		return nil, ErrLogGap.With("the log ends at %d", end)
	}
	known := end - offset
	if known >= int64(len(chunk)) {
		return nil, nil
	}
	fresh := chunk[known:]
	if end+int64(len(fresh)) > MaxLog {
		return nil, ErrLogFull.With("an attempt's log is at most %d bytes", MaxLog)
	}
	return fresh, nil
}
