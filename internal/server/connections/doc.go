// Package connections manages the API server's connections. It limits their number, in total and by client, and how
// long they last. It reloads renewed TLS certificates, and determines clients' addresses behind trusted proxies.
package connections
