package prices

import (
	"regexp"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/execution"
)

// A model has many names: gpt-4o-2024-08-06, models/gemini-2.5-pro-preview-05-06,
// us.anthropic.claude-sonnet-4-5-20250929-v1:0. A pattern is compared with the name unchanged first, and then with the
// name without its host, vendor, date and the like, but never with a mere prefix: gpt-4o is not the price of
// gpt-4o-mini.

var (
	// suffix matches the edition of a model.
	suffix = regexp.MustCompile(`(?:` + strings.Join([]string{
		`@[^@]*`,                  // Vertex AI: @20250929
		`-v[1-9](?::\d{1,2})?`,    // Bedrock: -v1:0
		`:\d{1,2}(?::[a-z0-9]+)?`, // -v1:0:200k
		`-20\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])`,    // -20250929
		`-20\d{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])`,  // -2024-08-06
		`-(?:0[1-9]|1[0-2])-20\d{2}`,                          // -08-2024
		`-(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])`,           // -0613
		`-2\d(?:0[1-9]|1[0-2])`,                               // -2411
		`-2\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])`,        // -250929
		`-(?:preview|exp|experimental|beta)(?:-\d{2}-\d{2})?`, // -preview-05-06
		`-00\d`,
		`-latest`,
		`\[[0-9a-z]+\]`, // Claude Code: size of the context, such as [1m]
		`:(?:beta|thinking|online|extended|nitro|floor|exacto)`, // OpenRouter: routing, the model is the same
	}, "|") + `)$`)
	// dotted matches Bedrock's prefix of a model: its region and vendor.
	dotted = regexp.MustCompile(`^(?:(` + strings.Join(zones, "|") + `)\.)?([a-z]+|ai21)\.`)
	// awsRegion matches regions of AWS, and similar ones of Google Cloud.
	awsRegion = regexp.MustCompile(`^[a-z]{2,12}(?:-gov)?-[a-z]+-?\d$`)
)

// efforts are efforts of reasoning, which some clients append to a model's name.
var efforts = []string{"-minimal", "-low", "-medium", "-high", "-xhigh", "-thinking"}

// thinkers are the models to whose names clients append them. Other models have such a name themselves.
var thinkers = []string{"gpt-", "o1", "o3", "o4", "claude-", "gemini-", "grok-"}

const (
	maxSuffixes = 6  // limit of suffixes that are removed
	maxSegments = 16 // limit of a path whose ends are compared
)

// InRegion is the region of a model that runs in whichever region was called, rather than in one chosen by a profile.
const InRegion = "in-region"

// zones are Bedrock's profiles and Azure's data zones.
var zones = []string{"us", "eu", "jp", "au", "apac", "global", "us-gov", "ca", "sa", "in", "uk", "me", "af", "amer"}

// candidate is a name under which a model's price may be listed.
type candidate struct {
	name  string
	whole bool // no suffix was removed
	zoned bool // it includes the region in which the model runs
}

// modelName is a parsed name of a model.
type modelName struct {
	host   string // the provider in the name, as providerOf returns it
	path   bool   // it has a path, which may name the model's maker
	region string
	brief  bool // candidates are not needed
	// hosted are the candidates with a path, plain those without, each longest first.
	hosted, plain []candidate
}

// RegionOf returns the region in a model's name: a profile of Bedrock such as us or global, a region of a cloud, or
// InRegion. It returns "" if the name has none.
func RegionOf(model string) string {
	if len(model) > execution.MaxName || !mayNameRegion(model) {
		return ""
	}
	n := modelName{brief: true}
	n.read(model, "")
	return n.region
}

// mayNameRegion is a fast filter: a name with a region has a path, or begins with a word and a dot.
func mayNameRegion(model string) bool {
	if strings.IndexByte(model, '/') >= 0 {
		return true
	}
	dot := strings.IndexByte(model, '.')
	return dot > 0 && (model[:dot] == "ai21" || !strings.ContainsAny(model[:dot], "0123456789"))
}

// NoteRegion records the region in the requested model's name. Providers' responses often omit it: for
// us.anthropic.claude-sonnet-5-5 they name claude-sonnet-5-5.
func NoteRegion(b *execution.Billing, requested string) {
	if region := RegionOf(requested); region != "" && (region != InRegion || b.Region == "") {
		b.Region = strings.Clone(region)
	}
}

// readModelName parses a name. Dots have Bedrock's meaning in it unless provider, that of the execution, is a host
// other than Bedrock.
func readModelName(model, provider string) modelName {
	n := modelName{hosted: make([]candidate, 0, 4), plain: make([]candidate, 0, 8)}
	n.read(model, provider)
	return n
}

func (n *modelName) read(model, provider string) {
	name := strings.ToLower(strings.TrimSpace(model))
	name = n.readARN(name)
	name = n.readRoute(name)
	if prefix, rest, ok := cutProvider(name); ok {
		n.list(&n.hosted, name, false)
		n.host, name = prefix, rest
	}
	segments := strings.Split(name, "/")
	last := segments[len(segments)-1]
	if len(segments) > 1 {
		n.readPath(segments)
		full := name
		for i := range min(len(segments)-1, maxSegments) {
			n.list(&n.hosted, full, i < len(segments)-1 && isRegion(segments[i]) || i+1 < len(segments)-1 && isRegion(segments[i+1]))
			_, full, _ = strings.Cut(full, "/")
		}
	}
	if prefix, rest, ok := cutProvider(last); ok && len(segments) > 1 {
		n.list(&n.plain, last, false)
		n.host, last = prefix, rest
	}
	if tuned, ok := fineTuned(last); ok {
		n.plain = append(n.plain, candidate{last, true, false})
		n.list(&n.plain, tuned, false)
		return
	}
	n.readDots(last, provider)
	n.addEffortless()
	n.hosted, n.plain = turned(n.hosted), turned(n.plain)
}

// readARN records the host of a model that is named by an ARN, and returns the model's name. ARNs that only choose a
// model, or that were derived from one, name none.
func (n *modelName) readARN(name string) string {
	if !strings.HasPrefix(name, "arn:aws") {
		return name
	}
	fields := strings.SplitN(name, ":", 6)
	if len(fields) < 6 {
		return name
	}
	n.host, n.region = "bedrock", fields[3]
	switch kind, model, _ := strings.Cut(fields[5], "/"); kind {
	case "foundation-model", "inference-profile":
		return model
	}
	return ""
}

// readRoute cuts the host from a name as in Hugging Face's router: openai/gpt-oss-120b:together.
func (n *modelName) readRoute(name string) string {
	at := strings.LastIndexByte(name, ':')
	if at <= 0 || at == len(name)-1 || strings.ContainsAny(name[at:], "/.0123456789") || !strings.Contains(name[:at], "/") {
		return name
	}
	host := providerOf(name[at+1:])
	if host == "" || makers[host] {
		return name
	}
	n.host = host
	return name[:at]
}

// list appends the candidates of a name.
func (n *modelName) list(names *[]candidate, name string, zoned bool) {
	if !n.brief {
		*names = undated(*names, name, zoned)
	}
}

// readDots parses a name that may begin with a region and a vendor, and appends it without them.
func (n *modelName) readDots(name, provider string) {
	at := dotted.FindStringSubmatchIndex(name)
	if at == nil || at[1] == len(name) {
		n.list(&n.plain, name, false)
		return
	}
	zone, vendor := "", name[at[4]:at[5]]
	if at[2] >= 0 {
		zone = name[at[2]:at[3]]
	} else if slices.Contains(zones, vendor) { // us.claude-…
		zone, vendor = vendor, ""
	}
	var bare []candidate
	n.list(&bare, name[at[1]:], false)
	add := func(from int, zoned bool) {
		for i, c := range bare {
			n.plain = append(n.plain, candidate{name[from : at[1]+len(c.name)], i == 0, zoned})
		}
	}
	add(0, zone != "")
	if zone != "" && vendor != "" {
		add(at[4], false)
	}
	add(at[1], false)
	if provider != "" && provider != "bedrock" && !makers[provider] {
		return // a host that uses dots otherwise
	}
	if zone == "" && providerOf(vendor) == "" && !bedrockVendors[vendor] {
		return
	}
	if n.host == "" || makers[n.host] {
		n.host = "bedrock"
	}
	switch {
	case zone != "":
		n.region = zone
	case n.region == "":
		n.region = InRegion
	}
}

// bedrockVendors are the vendors that are not providers themselves.
var bedrockVendors = map[string]bool{"stability": true, "twelvelabs": true, "luma": true, "writer": true, "nvidia": true}

// readPath records the host and the region of a path.
func (n *modelName) readPath(segments []string) {
	n.path = true
	first := segments[0]
	switch {
	case first == "accounts" && len(segments) > 2:
		first = segments[1] // accounts/fireworks/models/…
	case first == "projects" && slices.Contains(segments, "publishers"):
		first = "vertex"
	case routers[providerOf(first)] && len(segments) > 2:
		if host := providerOf(segments[1]); host != "" && !makers[host] { // huggingface/together/openai/…
			first = segments[1]
		}
	}
	if host := providerOf(first); host != "" && !strings.ContainsAny(first, "0123456789") && n.host == "" {
		n.host = host
	}
	for i, segment := range segments[:len(segments)-1] {
		if isRegion(segment) || i > 0 && segments[i-1] == "locations" {
			n.region = segment
		}
	}
}

func isRegion(text string) bool { return slices.Contains(zones, text) || awsRegion.MatchString(text) }

// addRegion appends the candidates with a region: eu/nova-2-lite for eu.amazon.nova-2-lite-v1:0, and for nova-2-lite if
// its region is known otherwise.
func (n *modelName) addRegion(region string) {
	if region == "" {
		return
	}
	for _, c := range n.plain {
		if !c.zoned {
			n.hosted = append(n.hosted, candidate{region + "/" + c.name, c.whole, true})
		}
	}
}

// cutProvider cuts a provider and a colon from the beginning of a name: openai:gpt-4o, google-gla:gemini-2.5-flash.
func cutProvider(name string) (host, rest string, ok bool) {
	prefix, rest, ok := strings.Cut(name, ":")
	if !ok || rest == "" || prefix == "ft" || strings.ContainsAny(prefix, "/.0123456789") {
		return "", "", false
	}
	host = providerOf(prefix)
	return host, rest, host != ""
}

// fineTuned returns the name under which the price of a fine-tuned model is listed: ft:gpt-4o-mini-2024-07-18 for
// ft:gpt-4o-mini-2024-07-18:acme::abc and for Azure's gpt-4o-mini-2024-07-18.ft-0123.
func fineTuned(name string) (string, bool) {
	if base, ok := strings.CutPrefix(name, "ft:"); ok {
		base, _, _ = strings.Cut(base, ":")
		return "ft:" + base, true
	}
	if i := strings.Index(name, ".ft-"); i > 0 {
		return "ft:" + name[:i], true
	}
	return "", false
}

// undated appends a name, and that name with one suffix after another removed.
func undated(names []candidate, name string, zoned bool) []candidate {
	whole := true
	for range maxSuffixes {
		if name == "" {
			break
		}
		names = append(names, candidate{name, whole, zoned})
		at := suffix.FindStringIndex(name)
		if at == nil {
			break
		}
		name, whole = name[:at[0]], false
	}
	return names
}

// addEffortless appends the names without an effort of reasoning at their end.
func (n *modelName) addEffortless() {
	for _, c := range n.plain {
		if !slices.ContainsFunc(thinkers, func(begin string) bool { return strings.HasPrefix(c.name, begin) }) {
			continue
		}
		for _, effort := range efforts {
			if name, ok := strings.CutSuffix(c.name, effort); ok {
				n.plain = undated(n.plain, name, c.zoned)
			}
		}
	}
}

// turned appends the names of Claude models with version and family swapped: claude-sonnet-4-5 for claude-4.5-sonnet,
// and claude-3-5-haiku for claude-haiku-3.5. Anthropic has used both.
func turned(names []candidate) []candidate {
	for _, c := range names {
		before, rest, is := strings.Cut(c.name, "claude-")
		if !is {
			continue
		}
		parts := strings.Split(rest, "-")
		versions, family := 0, 0
		for versions < len(parts) && versions < 2 && isVersion(parts[versions]) {
			versions++
		}
		order := slices.Clone(parts)
		switch {
		case versions > 0 && versions < len(parts):
			order = append(append(order[:0], parts[versions]), parts[:versions]...)
			family = versions + 1
		case versions == 0 && len(parts) > 1 && isVersion(parts[1]):
			family = 2
			if len(parts) > 2 && isVersion(parts[2]) {
				family = 3
			}
			order = append(append(order[:0], parts[1:family]...), parts[0])
		default:
			continue
		}
		name := strings.Join(append(order, parts[family:]...), "-")
		for _, name := range []string{name, strings.ReplaceAll(name, ".", "-")} {
			names = append(names, candidate{before + "claude-" + name, false, c.zoned})
		}
	}
	return names
}

// isVersion reports whether a part of a name is a version number: 4, 4.5, 5.
func isVersion(part string) bool {
	return part != "" && len(part) <= 4 && strings.Trim(part, "0123456789.") == "" && part[0] != '.'
}
