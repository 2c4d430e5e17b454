package sketch

// Accumulator adds up distributions. It has a counter for every bin near those with counts, so that adding many
// distributions costs a fraction of merging each into a Distribution; at 1 to 12 KB it is worthwhile for dozens. The
// zero value is empty and ready to use. It is not safe for concurrent use.
type Accumulator struct {
	pages [(durationBins + pageBins - 1) / pageBins]*page
}

// page has the counts of adjacent bins.
type page [pageBins]int64

const pageBins = 64

// Add adds an encoded distribution if sign is 1, and subtracts it if sign is -1. After an error the accumulator may
// contain a part of it.
func (a *Accumulator) Add(b []byte, sign int64) error {
	b, err := withoutVersion(b)
	if err == nil {
		_, _, err = a.addBins(b, signedCounts, sign)
	}
	return err
}

// AddDistribution adds a distribution, which is not changed.
func (a *Accumulator) AddDistribution(d Distribution) {
	for _, b := range d.bins {
		a.add(uint(b.bin), b.count)
	}
}

// Merge adds other, which is not changed.
func (a *Accumulator) Merge(other *Accumulator) {
	for n, from := range other.pages {
		if from == nil {
			continue
		}
		to := a.pages[n]
		if to == nil {
			a.pages[n] = new(*from)
			continue
		}
		for i, count := range from {
			to[i] = bounded(to[i] + count)
		}
	}
}

// Distribution returns the same distribution as merging one after the other.
func (a *Accumulator) Distribution() Distribution {
	var d Distribution
	many := 0
	for _, p := range a.pages {
		if p == nil {
			continue
		}
		for _, count := range p {
			if count != 0 {
				many++
			}
		}
	}
	if many == 0 {
		return d
	}
	d.bins = make([]binCount, 0, many)
	for n, p := range a.pages {
		if p == nil {
			continue
		}
		for i, count := range p {
			if count != 0 {
				d.bins = append(d.bins, binCount{int32(n*pageBins + i), count})
			}
		}
	}
	return d
}

// unused reports whether nothing was ever added.
func (a *Accumulator) unused() bool { return a.pages == [len(a.pages)]*page{} }

// at returns a pointer to a bin's count.
func (a *Accumulator) at(bin uint) *int64 {
	p := a.pages[bin/pageBins]
	if p == nil {
		p = new(page)
		a.pages[bin/pageBins] = p
	}
	return &p[bin%pageBins]
}

func (a *Accumulator) add(bin uint, count int64) {
	at := a.at(bin)
	*at = bounded(*at + count)
}
