package execution

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/watchbill/watchbill/internal/yamlfile"
)

// What a file of prices may be at most.
const (
	MaxPriceFile = 1 << 20 // bytes

	maxPrices      = 5000
	maxPatterns    = 100 // of one price
	maxTiers       = 8
	maxSources     = 100
	maxSource      = 500    // bytes
	maxVersion     = 64     // bytes
	maxDollars     = 100000 // per million tokens
	maxPriceFaults = 1000
)

// ParsePrices reads a file of prices. The error is a yamlfile.Faults.
func ParsePrices(file []byte) (*Prices, error) {
	reader, root := yamlfile.Read(file, MaxPriceFile, maxPriceFaults)
	if root == nil {
		return nil, reader.Err()
	}
	r := priceReader{reader}
	fields := r.Mapping(root, "", "version", "currency", "source", "models")
	version := r.version(root, fields["version"])
	if currency := fields["currency"]; currency == nil {
		r.Fault(root, "currency", "is missing; it must be USD")
	} else if text := r.text(currency, "currency"); text != "" && text != "USD" {
		r.Fault(currency, "currency", "must be USD, the only one that prices are kept in")
	}
	r.source(fields["source"])
	models := r.models(root, fields["models"], version)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return &Prices{version: version, tables: []*priceTable{newPriceTable(version, models)}}, nil
}

// priceReader reads prices from a file.
type priceReader struct{ *yamlfile.Reader }

// text reads text whose length is bounded in words of its own.
func (r priceReader) text(n *yaml.Node, field string) string { return r.Text(n, field, MaxPriceFile) }

// version reads what the table is called. A + would look like that of a table laid over another.
func (r priceReader) version(root, n *yaml.Node) string {
	if n == nil {
		r.Fault(root, "version", "is missing; it names the table, by a date for example")
		return ""
	}
	text := r.text(n, "version")
	if text != "" && (len(text) > maxVersion || !versionName.MatchString(text)) {
		r.Fault(n, "version", "must be at most %d letters, digits, dots, hyphens, colons and underscores, not %s", maxVersion, yamlfile.Quote(text))
	}
	return text
}

var versionName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]*$`)

// source reads notes for people.
func (r priceReader) source(n *yaml.Node) {
	if n == nil || n.Kind != yaml.SequenceNode {
		r.Text(n, "source", maxSource)
		return
	}
	for at, note := range r.List(n, "source", 0, maxSources) {
		r.Text(note, at, maxSource)
	}
}

// date reads a day, or a moment. A day begins at midnight UTC.
func (r priceReader) date(n *yaml.Node, field string) time.Time {
	text := r.text(n, field)
	if text == "" {
		return time.Time{}
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC()
		}
	}
	r.Fault(n, field, "must be a day such as 2006-01-02 or a time such as 2006-01-02T15:04:05Z, not %s", yamlfile.Quote(text))
	return time.Time{}
}

var plainDecimal = regexp.MustCompile(`^(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$`)

// rate reads USD per million tokens, exactly.
func (r priceReader) rate(n *yaml.Node, field string) Rate {
	text := r.text(n, field)
	if text == "" {
		return 0
	}
	const decimals = 6
	whole, rest, _ := strings.Cut(text, ".")
	rest = strings.TrimRight(rest, "0")
	switch {
	case strings.HasPrefix(text, "-"):
		r.Fault(n, field, "must not be negative")
	case !plainDecimal.MatchString(text):
		r.Fault(n, field, "must be a decimal number such as 0.25, in USD per million tokens, not %s", yamlfile.Quote(text))
	case len(rest) > decimals:
		r.Fault(n, field, "must have at most %d decimals", decimals)
	default:
		dollars, err := strconv.ParseInt(whole, 10, 64)
		if err != nil || dollars > maxDollars || dollars == maxDollars && rest != "" {
			r.Fault(n, field, "must be at most %d USD per million tokens", maxDollars)
			return 0
		}
		micros, _ := strconv.ParseInt((rest + "000000")[:decimals], 10, 64) // six digits
		return Rate(dollars*1e6 + micros)
	}
	return 0
}
