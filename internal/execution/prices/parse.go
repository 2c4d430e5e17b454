package prices

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/watchbill/watchbill/internal/yamlfile"
)

// Limits of a file of prices.
const (
	MaxFile = 1 << 20 // bytes

	maxPrices       = 5000
	maxPatterns     = 100 // of one price
	maxProviders    = 20  // of one price
	maxTiers        = 8
	maxServiceTiers = 16
	maxHours        = 16
	maxFactors      = 200
	maxFactor       = 10 // times the price
	maxSources      = 100
	maxSource       = 500    // bytes
	maxVersion      = 64     // bytes
	maxDollars      = 100000 // per million tokens
	maxPriceFaults  = 1000
)

// Parse parses a file of prices. Its error is a yamlfile.Faults.
func Parse(content []byte) (*List, error) {
	file, err := readPriceFile(content)
	if err != nil {
		return nil, err
	}
	t := &priceTable{version: file.version}
	t.add(file)
	t.finish()
	return &List{version: file.version, tables: []*priceTable{t}}, nil
}

// priceFile is the contents of a file.
type priceFile struct {
	version    string
	models     []*ModelPrice
	factors    []factorRule // of these models
	selfHosted []string
}

func readPriceFile(file []byte) (*priceFile, error) {
	reader, root := yamlfile.Read(file, MaxFile, maxPriceFaults)
	if root == nil {
		return nil, reader.Err()
	}
	r := priceReader{reader}
	fields := r.Mapping(root, "", "version", "currency", "source", "date", "defaults", "self_hosted", "factors", "models")
	version := r.version(root, fields["version"])
	if currency := fields["currency"]; currency == nil {
		r.Fault(root, "currency", "is missing; it must be USD")
	} else if text := r.text(currency, "currency"); text != "" && text != "USD" {
		r.Fault(currency, "currency", "must be USD, the only one that prices are kept in")
	}
	r.source(fields["source"])
	d := r.defaults(fields["defaults"])
	d.date = cmp.Or(d.date, r.day(fields["date"], "date"))
	var selfHosted []string
	for at, entry := range r.List(fields["self_hosted"], "self_hosted", 0, maxPatterns) {
		selfHosted = append(selfHosted, r.provider(entry, at))
	}
	factors := r.factors(fields["factors"])
	models := r.models(root, fields["models"], d)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return &priceFile{version, models, factors, selfHosted}, nil
}

// priceReader reads prices from a file.
type priceReader struct{ *yamlfile.Reader }

// text reads a text whose length is checked elsewhere.
func (r priceReader) text(n *yaml.Node, field string) string { return r.Text(n, field, MaxFile) }

// version reads the version of the table. It must not contain +, which joins the versions of two tables.
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

// source checks notes for people.
func (r priceReader) source(n *yaml.Node) {
	if n == nil || n.Kind != yaml.SequenceNode {
		r.Text(n, "source", maxSource)
		return
	}
	for at, note := range r.List(n, "source", 0, maxSources) {
		r.Text(note, at, maxSource)
	}
}

// defaults reads the values of fields that entries omit.
func (r priceReader) defaults(n *yaml.Node) defaults {
	var d defaults
	fields := r.Mapping(n, "defaults", "provider", "elsewhere", "source", "date")
	if provider := fields["provider"]; provider != nil {
		d.providers = r.providers(provider, "defaults.provider")
	}
	d.elsewhere = r.elsewhere(fields["elsewhere"], "defaults.elsewhere")
	d.source, d.date = r.Text(fields["source"], "defaults.source", maxSource), r.day(fields["date"], "defaults.date")
	return d
}

// factors reads the rules that multiply prices.
func (r priceReader) factors(n *yaml.Node) []factorRule {
	var rules []factorRule
	for at, entry := range r.List(n, "factors", 0, maxFactors) {
		fields := r.Mapping(entry, at, "provider", "match", "except", "region", "service_tier", "factor", "source", "date")
		if entry.Kind != yaml.MappingNode {
			continue
		}
		var rule factorRule
		if provider := fields["provider"]; provider != nil {
			rule.providers = r.providers(provider, at+".provider")
		}
		if fields["match"] != nil {
			rule.match = r.patterns(fields["match"], at+".match")
		}
		if fields["except"] != nil {
			rule.except = r.patterns(fields["except"], at+".except")
		}
		if fields["region"] != nil {
			rule.regions = r.patterns(fields["region"], at+".region")
		}
		if tier := fields["service_tier"]; tier != nil {
			rule.serviceTier = serviceTier(r.text(tier, at+".service_tier"))
			if rule.serviceTier == "" {
				r.Fault(tier, at+".service_tier", "must be a tier other than the standard one, such as batch")
			}
		}
		if factor := fields["factor"]; factor != nil {
			rule.factor = r.factor(factor, at+".factor")
		} else {
			r.Fault(entry, at+".factor", "is missing")
		}
		r.Text(fields["source"], at+".source", maxSource)
		r.day(fields["date"], at+".date")
		rules = append(rules, rule)
	}
	return rules
}

// flag reads true or false; the default is false.
func (r priceReader) flag(n *yaml.Node, field string) bool {
	if n == nil {
		return false
	}
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
		r.WrongKind(n, field, "true or false")
		return false
	}
	return strings.EqualFold(n.Value, "true")
}

// day reads a day and returns it as written.
func (r priceReader) day(n *yaml.Node, field string) string {
	text := r.text(n, field)
	if _, err := time.Parse(time.DateOnly, text); text != "" && err != nil {
		r.Fault(n, field, "must be a day such as 2006-01-02, not %s", yamlfile.Quote(text))
		return ""
	}
	return text
}

// timeOfDay reads hours and minutes as the time since midnight.
func (r priceReader) timeOfDay(n *yaml.Node, field string, otherwise time.Duration) time.Duration {
	text := r.text(n, field)
	if text == "" {
		return otherwise
	}
	if text == "24:00" {
		return 24 * time.Hour
	}
	at, err := time.Parse("15:04", text)
	if err != nil {
		r.Fault(n, field, "must be a time of day such as 16:30, in UTC, not %s", yamlfile.Quote(text))
		return otherwise
	}
	return time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
}

// date reads a day or a time. A day means its beginning, midnight UTC.
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

// rate reads USD per million tokens without rounding.
func (r priceReader) rate(n *yaml.Node, field string) Rate {
	return Rate(r.decimal(n, field, 6, maxDollars, "a decimal number such as 0.25, in USD per million tokens", "USD per million tokens"))
}

// factor reads a factor of a price.
func (r priceReader) factor(n *yaml.Node, field string) Factor {
	f := Factor(r.decimal(n, field, 4, maxFactor, "a decimal number such as 1.1", "times the price"))
	if f == 0 && n.Kind == yaml.ScalarNode && plainDecimal.MatchString(n.Value) && strings.Trim(n.Value, "0.") == "" {
		r.Fault(n, field, "must be more than 0; write prices of 0 for what costs nothing")
	}
	return f
}

// decimal reads a number without rounding, in units of its last decimal.
func (r priceReader) decimal(n *yaml.Node, field string, decimals int, limit int64, what, unit string) int64 {
	text := r.text(n, field)
	if text == "" {
		return 0
	}
	whole, rest, _ := strings.Cut(text, ".")
	rest = strings.TrimRight(rest, "0")
	switch {
	case strings.HasPrefix(text, "-"):
		r.Fault(n, field, "must not be negative")
	case !plainDecimal.MatchString(text):
		r.Fault(n, field, "must be %s, not %s", what, yamlfile.Quote(text))
	case len(rest) > decimals:
		r.Fault(n, field, "must have at most %d decimals", decimals)
	default:
		number, err := strconv.ParseInt(whole, 10, 64)
		if err != nil || number > limit || number == limit && rest != "" {
			r.Fault(n, field, "must be at most %d %s", limit, unit)
			return 0
		}
		digits, _ := strconv.ParseInt(whole+(rest + "000000")[:decimals], 10, 64) // few digits only
		return digits
	}
	return 0
}
