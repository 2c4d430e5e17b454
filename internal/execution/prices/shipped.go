package prices

import (
	"cmp"
	"embed"
	"io/fs"
	"sync"
)

// shipped has a file for each maker of models, and for each host that charges its own prices. Hosts are asked first: what
// a host charges for a model goes before what its maker does.
//
//go:embed hosts makers
var shipped embed.FS

// Default are the public list prices that are shipped.
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
				panic(name + ": " + err.Error()) // a test reads them
			}
			for _, m := range file.models {
				m.File = name
			}
			t.add(file)
			all.version = max(all.version, file.version) // they are days
		}
		if err != nil {
			panic(err) // they are in the program
		}
		all.tables = append(all.tables, t)
	}
	for _, t := range all.tables {
		t.version = cmp.Or(all.version, t.version)
		t.finish()
	}
	return all
})
