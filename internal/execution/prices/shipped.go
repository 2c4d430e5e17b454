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

// Default returns the shipped list prices.
func Default() *List { return defaultPrices() }

var defaultPrices = sync.OnceValue(func() *List {
	all := &List{}
	for _, folder := range []string{"hosts", "makers"} {
		t := &priceTable{}
		names, err := fs.Glob(shipped, folder+"/*.yaml")
		for _, name := range names {
			var content []byte
			if content, err = shipped.ReadFile(name); err != nil {
				break
			}
			var file *priceFile
			if file, err = readPriceFile(content); err != nil {
				panic(name + ": " + err.Error()) // tests parse them
			}
			for _, m := range file.models {
				m.File = name
			}
			t.add(file)
			all.version = max(all.version, file.version) // versions are days
		}
		if err != nil {
			panic(err) // they are embedded
		}
		all.tables = append(all.tables, t)
	}
	for _, t := range all.tables {
		t.version = cmp.Or(all.version, t.version)
		t.finish()
	}
	return all
})
