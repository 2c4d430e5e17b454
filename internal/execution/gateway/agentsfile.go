package gateway

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/yamlfile"
)

const (
	maxAgentsFile = 1 << 20 // bytes
	maxFaults     = 100     // faults listed in an error

	maxAgents  = 1000
	maxTypes   = 100 // of an agent
	maxURL     = 2000
	maxSystem  = 64 << 10
	maxHeaders = 50

	defaultTimeout     = 2 * time.Minute
	longestTimeout     = time.Hour
	shortestTimeout    = 10 * time.Millisecond
	defaultIdleTimeout = time.Minute

	defaultBaseURL = "https://api.openai.com/v1"
)

// The kinds of agents in the file.
const (
	kindOpenAI = "openai"
	kindHTTP   = "http"
	kindEcho   = "echo"
)

var kinds = []string{kindOpenAI, kindHTTP, kindEcho}

// ParseAgents parses an agents file. The file names the environment variables that hold API keys. The error is a
// yamlfile.Faults and never contains a key.
func ParseAgents(file []byte, env func(name string) (value string, ok bool)) (*Agents, error) {
	reader, root := yamlfile.Read(file, maxAgentsFile, maxFaults)
	if root == nil {
		return nil, reader.Err()
	}
	r := agentsReader{reader, env}
	list := r.Mapping(root, "", "agents")["agents"]
	if list == nil && root.Kind == yaml.MappingNode {
		r.Fault(root, "agents", "is missing; it lists the agents")
	}
	agents := &Agents{}
	lines := map[string]int{}
	for at, n := range r.List(list, "agents", 1, maxAgents) {
		a := r.agent(n, at)
		if first, again := lines[a.name]; again && a.name != "" {
			r.Fault(n, at+".name", "is another agent's, in line %d", first)
		}
		lines[a.name] = n.Line
		agents.all = append(agents.all, a)
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return agents, nil
}

// agentsReader reads agents from a file.
type agentsReader struct {
	*yamlfile.Reader
	env func(string) (string, bool)
}

func (r agentsReader) agent(n *yaml.Node, field string) *agent {
	fields := r.Mapping(n, field, append([]string{"name", "types", "kind", "timeout", "idle_timeout"}, kinds...)...)
	for _, required := range []string{"name", "types", "kind"} {
		if fields[required] == nil && n.Kind == yaml.MappingNode {
			r.Fault(n, field+"."+required, "is missing")
		}
	}
	a := &agent{name: r.OneLine(fields["name"], field+".name", execution.MaxName), types: r.types(fields["types"], field+".types")}
	a.timeout = r.Duration(fields["timeout"], field+".timeout", defaultTimeout, shortestTimeout, longestTimeout)
	a.idle = min(r.Duration(fields["idle_timeout"], field+".idle_timeout", defaultIdleTimeout, shortestTimeout, longestTimeout), a.timeout)
	if fields["kind"] == nil {
		return a
	}
	kind := r.OneLine(fields["kind"], field+".kind", 20)
	if kind != "" && !slices.Contains(kinds, kind) {
		r.Fault(fields["kind"], field+".kind", "must be one of %s, not %s", strings.Join(kinds, ", "), yamlfile.Quote(kind))
		return a
	}
	for _, other := range kinds {
		if section := fields[other]; section != nil && other != kind {
			r.Fault(section, field+"."+other, "belongs to agents of the kind %s", other)
		}
	}
	section := fields[kind]
	if section == nil && kind != kindEcho {
		r.Fault(n, field+"."+kind, "is missing")
		return a
	}
	field += "." + kind
	switch kind {
	case kindOpenAI:
		r.openAI(a, section, field)
	case kindHTTP:
		r.http(a, section, field)
	case kindEcho:
		r.echo(a, section, field)
	}
	return a
}

func (r agentsReader) types(n *yaml.Node, field string) (types []string) {
	for at, item := range r.List(n, field, 1, maxTypes) {
		if pattern := r.OneLine(item, at, execution.MaxName); pattern != "" {
			types = append(types, pattern)
		}
	}
	return types
}

func (r agentsReader) openAI(a *agent, n *yaml.Node, field string) {
	fields := r.Mapping(n, field, "base_url", "model", "api_key_env", "system", "temperature", "max_output_tokens", "provider", "extra", "usage_after_disconnect", "estimate_usage")
	k := &openAI{model: r.OneLine(fields["model"], field+".model", execution.MaxName), system: r.Text(fields["system"], field+".system", maxSystem)}
	if fields["model"] == nil {
		r.Fault(n, field+".model", "is missing")
	}
	base, _ := url.Parse(defaultBaseURL) // a valid constant
	if given := fields["base_url"]; given != nil {
		base = r.url(given, field+".base_url")
	}
	if base != nil {
		k.url = completionsURL(base)
		k.maxField = "max_tokens"
		if isOpenAIs(base) {
			k.maxField = "max_completion_tokens"
		}
	}
	if variable := fields["api_key_env"]; variable != nil {
		k.key = r.secret(variable, field+".api_key_env")
	}
	k.temperature = r.temperature(fields["temperature"], field+".temperature")
	if limit := fields["max_output_tokens"]; limit != nil {
		if limit.Decode(&k.limit) != nil || limit.ShortTag() != "!!int" || k.limit < 1 || k.limit > execution.MaxTokens {
			r.Fault(limit, field+".max_output_tokens", "must be a whole number from 1 to %d", execution.MaxTokens)
		}
	}
	if extra := fields["extra"]; extra != nil {
		k.extra = r.extra(extra, field+".extra")
	}
	a.system, a.drains = k.system, r.drains(fields["usage_after_disconnect"], field+".usage_after_disconnect")
	a.estimates = r.boolean(fields["estimate_usage"], field+".estimate_usage")
	a.model, a.provider, a.kind = k.model, r.OneLine(fields["provider"], field+".provider", execution.MaxProvider), k
	if a.provider == "" && base != nil && base.Hostname() == "api.openai.com" {
		a.provider = "openai"
	}
}

// drains reads whether an upstream is read on after its client left.
func (r agentsReader) drains(n *yaml.Node, field string) bool {
	switch chosen := r.OneLine(n, field, 20); chosen {
	case "", "stop":
		return false
	case "drain":
		return true
	default:
		r.Fault(n, field, "must be stop or drain, not %s", yamlfile.Quote(chosen))
		return false
	}
}

func (r agentsReader) boolean(n *yaml.Node, field string) bool {
	if n == nil {
		return false
	}
	var b bool
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" || n.Decode(&b) != nil {
		r.Fault(n, field, "must be true or false")
	}
	return b
}

func (r agentsReader) temperature(n *yaml.Node, field string) *float64 {
	if n == nil {
		return nil
	}
	var t float64
	if n.Kind != yaml.ScalarNode || n.Decode(&t) != nil || !(t >= 0 && t <= 2) {
		r.Fault(n, field, "must be a number from 0 to 2")
	}
	return &t
}

// extra reads additional members of a request. Members that the gateway sets are rejected.
func (r agentsReader) extra(n *yaml.Node, field string) map[string]any {
	object, ok := r.Value(n, field).(map[string]any)
	if !ok {
		if n.Kind == yaml.ScalarNode || n.Kind == yaml.SequenceNode {
			r.Fault(n, field, "must be a mapping")
		}
		return nil
	}
	for _, ours := range []string{"model", "messages", "stream"} {
		if _, there := object[ours]; there {
			r.Fault(n, field+"."+ours, "cannot be set in extra")
		}
	}
	return object
}

func (r agentsReader) http(a *agent, n *yaml.Node, field string) {
	fields := r.Mapping(n, field, "url", "headers_env", "model", "provider", "usage_after_disconnect", "estimate_usage")
	k := &httpAgent{header: http.Header{}}
	if fields["url"] == nil {
		r.Fault(n, field+".url", "is missing")
	} else if u := r.url(fields["url"], field+".url"); u != nil {
		k.url = u.String()
	}
	if headers := fields["headers_env"]; headers != nil {
		r.headers(headers, field+".headers_env", k.header)
	}
	a.model = r.OneLine(fields["model"], field+".model", execution.MaxName)
	a.provider = r.OneLine(fields["provider"], field+".provider", execution.MaxProvider)
	a.drains = r.drains(fields["usage_after_disconnect"], field+".usage_after_disconnect")
	a.estimates = r.boolean(fields["estimate_usage"], field+".estimate_usage")
	a.kind, a.traced = k, true
}

// ourHeaders are the request headers that the file may not set.
var ourHeaders = []string{
	"Accept", "Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Host",
	"Idempotency-Key", "Keep-Alive", "Proxy-Connection", "Te", "Traceparent", "Trailer", "Transfer-Encoding", "Upgrade",
}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$") // RFC 9110, 5.6.2

func (r agentsReader) headers(n *yaml.Node, field string, header http.Header) {
	if n.Kind != yaml.MappingNode {
		r.WrongKind(n, field, "a mapping of headers to environment variables")
		return
	}
	if len(n.Content)/2 > maxHeaders {
		r.Fault(n, field, "must have at most %d headers", maxHeaders)
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, variable := n.Content[i], n.Content[i+1]
		at := yamlfile.Under(field, key.Value)
		canonical := http.CanonicalHeaderKey(key.Value)
		switch {
		case key.Kind != yaml.ScalarNode || !headerName.MatchString(key.Value):
			r.Fault(key, at, "is not a header's name")
		case slices.Contains(ourHeaders, canonical):
			r.Fault(key, at, "cannot be set in the file")
		case header[canonical] != nil:
			r.Fault(key, at, "is duplicated")
		default:
			header.Set(canonical, r.secret(variable, at))
		}
	}
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// secret reads the environment variable that a field names.
func (r agentsReader) secret(n *yaml.Node, field string) string {
	variable := r.OneLine(n, field, 200)
	if variable == "" {
		return ""
	}
	// A key written here by mistake must not be logged.
	if !variableName.MatchString(variable) {
		r.Fault(n, field, "must be the name of an environment variable, which has the secret")
		return ""
	}
	value, ok := r.env(variable)
	value = strings.TrimSpace(value)
	switch {
	case !ok || value == "":
		r.Fault(n, field, "the environment variable it names is not set")
	case strings.ContainsFunc(value, unicode.IsControl):
		r.Fault(n, field, "the environment variable it names has a value that cannot be sent in a header")
	default:
		return value
	}
	return ""
}

// url reads an agent's URL.
func (r agentsReader) url(n *yaml.Node, field string) *url.URL {
	text := r.OneLine(n, field, maxURL)
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		r.Fault(n, field, "must be a URL that begins with https:// or http://")
	case u.User != nil:
		r.Fault(n, field, "must not hold a password; name an environment variable instead")
	case u.Fragment != "":
		r.Fault(n, field, "must not have a fragment")
	default:
		return u
	}
	return nil
}

func (r agentsReader) echo(a *agent, n *yaml.Node, field string) {
	fields := r.Mapping(n, field, "delay", "model")
	a.model, a.provider = cmp.Or(r.OneLine(fields["model"], field+".model", execution.MaxName), echoModel), echoProvider
	a.kind = echo{delay: r.Duration(fields["delay"], field+".delay", 0, 0, longestTimeout)}
}
