package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
)

const (
	quarantineSuffix   = ".corrupt"
	maxQuarantined     = 16                 // files
	maxQuarantineAge   = 7 * 24 * time.Hour // they hold prompts, which erasures do not find here
	maxQuarantinedFile = 8 << 20            // bytes per file
)

// quarantine copies the bytes of a segment from offset at to end into a file beside the slots, for inspection. At most
// maxQuarantined files are kept, the newest. If the bytes cannot be copied the segment itself is kept. The caller has
// exclusive use of the segment.
func (s *Spool) quarantine(g *segment, at, end int64) {
	slotDir, name := filepath.Split(g.path)
	target := filepath.Join(s.opts.Dir, fmt.Sprintf("%s-%s-%d%s",
		filepath.Base(slotDir), strings.TrimSuffix(name, segmentSuffix), at, quarantineSuffix))
	kept, err := copyTo(target, io.NewSectionReader(g.file, at, min(end-at, maxQuarantinedFile)))
	log := s.opts.Log.With(zap.String("segment", g.path), zap.Int64("offset", at), zap.Int64("bytes", end-at))
	if err != nil {
		log.Error("the spool has data that is not a record; it cannot be copied, so its segment is kept", zap.Error(err))
		g.aside, g.closed = target, true
		return
	}
	log.Error("the spool has data that is not a record; it and the rest of its segment are set aside",
		zap.String("file", target), zap.Int64("kept_bytes", kept))
	s.pruneQuarantine()
}

func copyTo(path string, from io.Reader) (n int64, err error) {
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, onlyOurs)
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(to, from)
	return n, errors.Join(err, to.Close())
}

// pruneQuarantine removes expired files, and the oldest beyond the limit.
func (s *Spool) pruneQuarantine() {
	paths, _ := filepath.Glob(filepath.Join(escapeGlob(s.opts.Dir), "*"+quarantineSuffix)) // The pattern is well-formed.
	modified := make(map[string]int64, len(paths))
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			modified[path] = info.ModTime().UnixNano()
		}
	}
	slices.SortFunc(paths, func(a, b string) int {
		return int(min(max(modified[a]-modified[b], -1), 1))
	})
	oldest := s.opts.Now().Add(-maxQuarantineAge).UnixNano()
	surplus := len(paths) - maxQuarantined
	for i, path := range paths {
		if i >= surplus && modified[path] >= oldest {
			break
		}
		if err := os.Remove(path); err != nil {
			s.opts.Log.Warn("cannot remove a file that was set aside", zap.Error(err))
		}
	}
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
