package job

import (
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/report"
)

// slotLayout is a slot in the name of a file: it sorts, and needs no quoting anywhere.
const slotLayout = "20060102T1504Z"

// extensions are those of the formats' files.
var extensions = map[report.Format]string{
	report.HTML: "html", report.JSON: "json", report.Markdown: "md", report.CSV: "csv", report.Text: "txt",
}

// FileName is that of a report's file: daily-20260115T0800Z.html.
func FileName(name string, slot time.Time, format report.Format) string {
	return name + "-" + slot.UTC().Format(slotLayout) + "." + extensions[format]
}

// Owns says whether a file of that name is one of a report's, in a format.
func Owns(file, name string, format report.Format) bool {
	rest, ours := strings.CutPrefix(file, name+"-")
	rest, suffixed := strings.CutSuffix(rest, "."+extensions[format])
	slot, err := time.Parse(slotLayout, rest)
	return ours && suffixed && err == nil && FileName(name, slot, format) == file
}

// Outdated returns the files of a report and format that are beyond the newest keep, by the slots in their names, the oldest
// first. It returns none that is not the report's own, and never spare, which was just written.
func Outdated(files []string, name string, format report.Format, keep int, spare string) []string {
	var own []string
	for _, file := range files {
		if Owns(file, name, format) {
			own = append(own, file)
		}
	}
	slices.Sort(own) // which is by slot, since all else in their names is the same
	own = slices.Compact(own)
	own = own[:max(len(own)-max(keep, 1), 0)]
	return slices.DeleteFunc(own, func(file string) bool { return file == spare })
}
