// Package migrations holds the schema's history as goose files, embedded in the binary. Each file goes up and down.
package migrations

import "embed"

// FS holds the migrations, named NNNNN_subject.sql.
//
//go:embed *.sql
var FS embed.FS
