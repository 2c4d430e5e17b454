package redact

import (
	"cmp"
	"slices"
	"strings"
)

// spans returns what any rule masks in a text, in order. All rules match the same text: the mask of one must not hide a
// match of another. Overlapping spans are merged.
func (r *Rules) spans(text string) [][]int {
	var all [][]int
	for _, find := range r.find {
		all = append(all, find(text)...)
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b []int) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	merged := all[:1]
	for _, span := range all[1:] {
		if last := merged[len(merged)-1]; span[0] < last[1] {
			last[1] = max(last[1], span[1])
		} else {
			merged = append(merged, span)
		}
	}
	return merged
}

// finds reports whether any rule masks something in a text.
func (r *Rules) finds(text string) bool {
	return slices.ContainsFunc(r.find, func(find finder) bool {
		return slices.ContainsFunc(find(text), func(span []int) bool { return span[0] < span[1] })
	})
}

// mask replaces the found spans with masks. Spans of only masks are unchanged, and no mask is ever cut.
func mask(text string, found [][]int) string {
	if len(found) == 0 {
		return text
	}
	var out strings.Builder
	done, masks := 0, masksIn(text)
	for _, span := range found {
		from, to := max(span[0], done), span[1]
		if from >= to {
			continue // empty, or already part of a mask
		}
		for len(masks) > 0 && masks[0]+len(Mark) <= from {
			masks = masks[1:]
		}
		covered := from // end of the masked part
		for _, begin := range masks {
			if begin >= to {
				break
			}
			end := begin + len(Mark)
			if begin <= covered {
				covered = end
			}
			from, to = min(from, begin), max(to, end)
		}
		if covered >= to {
			continue
		}
		out.WriteString(text[done:from])
		out.WriteString(Mark)
		done = to
	}
	if done == 0 {
		return text
	}
	out.WriteString(text[done:])
	return out.String()
}

// masksIn returns where the masks of a text begin.
func masksIn(text string) []int {
	var begins []int
	for from := 0; ; {
		i := strings.Index(text[from:], Mark)
		if i < 0 {
			return begins
		}
		begins = append(begins, from+i)
		from += i + len(Mark)
	}
}
