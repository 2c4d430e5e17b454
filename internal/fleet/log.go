package fleet

// LogTail says what of a chunk that starts at offset is new to a log that ends at end: a repeated chunk adds nothing,
// one that overlaps adds its tail. ErrLogGap if something would be missing between, ErrLogFull if it would outgrow MaxLog.
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
