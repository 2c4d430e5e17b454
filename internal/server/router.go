package server

import (
	"net/url"
	"slices"
	"strings"
)

// node is a place in the tree of paths, a level a segment.
//
// http.ServeMux will not do: it answers unclean paths with redirects, and it cannot hold both
// /api/deployments/pending/{agent_id} and /api/deployments/{deployment_id}/logs. Here a literal segment goes before a
// wildcard, and what leads nowhere is not found.
type node struct {
	literal  map[string]*node
	wildcard *node
	methods  map[string]*endpoint
	allow    string // the methods, for the header
}

// add finds or makes the place of a pattern such as /api/agents/{agent_id}. A pattern has one wildcard at most.
func (n *node) add(pattern string) *node {
	for segment := range strings.SplitSeq(strings.TrimPrefix(pattern, "/"), "/") {
		var next *node
		if strings.HasPrefix(segment, "{") {
			if n.wildcard == nil {
				n.wildcard = &node{}
			}
			next = n.wildcard
		} else {
			if n.literal == nil {
				n.literal = map[string]*node{}
			}
			if next = n.literal[segment]; next == nil {
				next = &node{}
				n.literal[segment] = next
			}
		}
		n = next
	}
	return n
}

// handle puts an endpoint at the place.
func (n *node) handle(method string, e *endpoint) {
	if n.methods == nil {
		n.methods = map[string]*endpoint{}
	}
	n.methods[method] = e
	allowed := make([]string, 0, len(n.methods)+1)
	for method := range n.methods {
		allowed = append(allowed, method)
		if method == "GET" {
			allowed = append(allowed, "HEAD")
		}
	}
	slices.Sort(allowed)
	n.allow = strings.Join(allowed, ", ")
}

// find walks down an escaped path. It returns nil where there is nothing, else the place and what the wildcard stands
// for, unescaped: a %2F is a slash in it.
func (n *node) find(escapedPath string) (place *node, param string) {
	rest, ok := strings.CutPrefix(escapedPath, "/")
	for ok {
		var segment string
		segment, rest, ok = strings.Cut(rest, "/")
		if next := n.literal[segment]; next != nil {
			n = next
			continue
		}
		if n.wildcard == nil || segment == "" {
			return nil, ""
		}
		unescaped, err := url.PathUnescape(segment)
		if err != nil {
			return nil, ""
		}
		n, param = n.wildcard, unescaped
	}
	if n.methods == nil {
		return nil, ""
	}
	return n, param
}

// endpoint finds what answers a method here. HEAD is GET without the body, which net/http leaves out.
func (n *node) endpoint(method string) *endpoint {
	if method == "HEAD" {
		method = "GET"
	}
	return n.methods[method]
}
