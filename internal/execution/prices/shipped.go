package prices

import (
	"cmp"
	"embed"
	"io/fs"
	"sync"
)

// shipped has a file for each maker of models, and for each host with its own prices. Hosts are looked up first: a
// host's price for a model takes precedence over the maker's.
//
//go:embed hosts makers
var shipped embed.FS

// Default returns the shipped list prices. The first call parses them, which takes some 25 ms of CPU.
func Default() *List { return defaultPrices() }

// Preload parses the shipped list prices in the background, so that a program's first call of Default finds them ready.
func Preload() { go Default() }

var defaultPrices = sync.OnceValue(func() *List {
	all := &List{}
	for _, folder := range []string{"hosts", "makers"} {
		t := &priceTable{}
		for _, file := range readShipped(folder) {
			t.add(file)
			all.version = max(all.version, file.version) // versions are days
		}
		all.tables = append(all.tables, t)
	}
	for _, t := range all.tables {
		t.version = cmp.Or(all.version, t.version)
		t.finish()
	}
	return all
})

// readShipped parses the files of a folder in the order of their names. It panics if one is invalid: they are embedded and
// tests parse them.
func readShipped(folder string) []*priceFile {
	names, err := fs.Glob(shipped, folder+"/*.yaml")
	if err != nil {
		panic(err)
	}
	files := make([]*priceFile, len(names))
	for i, name := range names {
		content, err := shipped.ReadFile(name)
		if err == nil {
			files[i], err = readPriceFile(content)
		}
		if err != nil {
			panic(name + ": " + err.Error())
		}
		for _, m := range files[i].models {
			m.File = name
		}
	}
	return files
}
