package job

import (
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/report"
)

// slotLayout formats a slot in a file name: it sorts by time and needs no quoting.
const slotLayout = "20060102T1504Z"

// extensions are the file extensions of the formats.
var extensions = map[report.Format]string{
	report.HTML: "html", report.JSON: "json", report.Markdown: "md", report.CSV: "csv", report.Text: "txt",
}

// FileName returns the name of a report's file, such as daily-20260115T0800Z.html.
func FileName(name string, slot time.Time, format report.Format) string {
	return name + "-" + slot.UTC().Format(slotLayout) + "." + extensions[format]
}

// Owns reports whether a file belongs to a report and format, by its name.
func Owns(file, name string, format report.Format) bool {
	rest, ours := strings.CutPrefix(file, name+"-")
	rest, suffixed := strings.CutSuffix(rest, "."+extensions[format])
	slot, err := time.Parse(slotLayout, rest)
	return ours && suffixed && err == nil && FileName(name, slot, format) == file
}

// Outdated returns the files of a report and format beyond the newest keep, by the slots in their names, oldest first. It
// returns only files of the report, and never spare, which was just written.
func Outdated(files []string, name string, format report.Format, keep int, spare string) []string {
	var own []string
	for _, file := range files {
		if Owns(file, name, format) {
			own = append(own, file)
		}
	}
	slices.Sort(own) // by slot, since the rest of their names is equal
	own = slices.Compact(own)
	own = own[:max(len(own)-max(keep, 1), 0)]
	return slices.DeleteFunc(own, func(file string) bool { return file == spare })
}
