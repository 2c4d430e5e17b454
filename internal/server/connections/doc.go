// Package connections serves the API's connections: it limits how many there are, and of whom; it says how long one may take;
// it serves certificates that are renewed; and it believes trusted proxies when they say for whom they forward.
package connections
