package server

import (
	"net/url"
	"slices"
	"strings"
)

// node is a node of the tree of paths, which has one level for each segment.
//
// http.ServeMux does not fit: it redirects unclean paths, and rejects having both /api/deployments/pending/{agent_id}
// and /api/deployments/{deployment_id}/logs. In this tree a literal segment takes precedence over a wildcard, without
// backtracking.
type node struct {
	literal  map[string]*node
	wildcard *node
	methods  map[string]*mounted
	allow    string // the value of the Allow header
}

// add returns the node of a pattern such as /api/agents/{agent_id}, and creates it if needed. A pattern has at most one
// wildcard.
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

// handle adds an endpoint to the node.
func (n *node) handle(method string, e *mounted) {
	if n.methods == nil {
		n.methods = map[string]*mounted{}
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

// find returns the node at an escaped path and the unescaped value of its wildcard, in which %2F is a slash. It returns
// nil if no endpoint is there.
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

// endpoint returns the endpoint of a method. HEAD is served as GET; net/http omits the body.
func (n *node) endpoint(method string) *mounted {
	if method == "HEAD" {
		method = "GET"
	}
	return n.methods[method]
}
