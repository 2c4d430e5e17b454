package spool

import (
	"path/filepath"

	"go.uber.org/zap"
)

// adopt periodically looks for a slot of a dead process and delivers its records. It adopts one slot at a time and removes
// it once it is empty. It also removes expired quarantined files.
func (d *delivery) adopt() {
	now := d.opts.Now()
	switch {
	case d.adopted != nil:
		if count, _ := d.adopted.waiting(); count > 0 {
			return
		}
		d.release()
	case now.Before(d.adoptAt):
		return
	}
	d.adoptAt = now.Add(adoptEvery)
	d.pruneQuarantine()
	names, err := slotNames(d.opts.Dir)
	if err != nil {
		d.opts.Log.Error("cannot search the spool's folder for records of dead processes", zap.Error(err))
	}
	for _, name := range names {
		dir := filepath.Join(d.opts.Dir, name)
		if dir == d.own.dir {
			continue
		}
		if sl := d.take(dir); sl != nil {
			d.mu.Lock()
			d.adopted = sl
			d.mu.Unlock()
			d.feeds = append(d.feeds, &feed{source: fromSlot{d.Spool, sl}, limit: batchRecords})
			return
		}
	}
}

// take locks a slot and loads it. It returns nil if another process holds the slot, it is empty, or it cannot be read.
func (d *delivery) take(dir string) *slot {
	log := d.opts.Log.With(zap.String("slot", dir))
	sl, err := holdSlot(dir)
	if err != nil {
		log.Error("a slot cannot be adopted", zap.Error(err))
	}
	if sl == nil {
		return nil
	}
	if err := d.load(sl); err != nil {
		log.Error("cannot read the records of a dead process", zap.Error(err))
		d.abandon(sl)
		return nil
	}
	count, bytes := sl.waiting()
	if count == 0 {
		d.abandon(sl)
		return nil
	}
	log.Info("delivering the records of a dead process", zap.Int("executions", count), zap.Int64("bytes", bytes))
	return sl
}

// release releases the adopted slot, if any.
func (d *delivery) release() {
	d.mu.Lock()
	sl := d.adopted
	d.adopted = nil
	d.mu.Unlock()
	if sl != nil {
		d.abandon(sl)
		d.feeds = d.feeds[:len(d.feeds)-1]
	}
}

func (d *delivery) abandon(sl *slot) {
	if err := sl.release(); err != nil {
		d.opts.Log.Error("an adopted slot cannot be released", zap.String("slot", sl.dir), zap.Error(err))
	}
}
