package connections

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// Timeouts and limits of a connection. Slow clients are disconnected. Handlers that need more time extend the
// deadlines; see exchange.extendDeadlines in package server.
const (
	readHeaderTimeout = 5 * time.Second
	ReadTimeout       = 30 * time.Second
	writeTimeout      = 75 * time.Second // more than MaxWait
	// idleTimeout is longer than load balancers keep idle connections to servers (nginx and Varnish 60 s, Caddy 2 min,
	// Google's 10 min), so that they close them and never send a request on one that is being closed.
	idleTimeout    = 620 * time.Second
	maxHeaderBytes = 16 << 10

	// Limits of a gRPC connection.
	maxStreams   = 64        // concurrent calls
	streamBuffer = 256 << 10 // bytes received and not yet read
	pingAfter    = 30 * time.Second
	pingAnswer   = 15 * time.Second // a client that does not respond to a ping is disconnected
)

// ServerOptions are the options of NewServer.
type ServerOptions struct {
	// TLS, if not nil, is the TLS configuration, for example from Certificates.Config. The server must then be run with
	// ServeTLS(listener, "", "").
	TLS *tls.Config
	// ConnectionMaxAge is how long a connection is kept alive, randomized by ±10 %, so that new replicas get their
	// share of the clients. If zero, there is no limit.
	ConnectionMaxAge time.Duration
	// GRPC enables HTTP/2 without TLS too, which gRPC uses.
	GRPC   bool
	Now    func() time.Time
	Jitter func() float64 // returns a random number in [0, 1)
	Log    *zap.Logger
}

// NewServer returns the HTTP server for the API.
func NewServer(handler http.Handler, opts ServerOptions) (*http.Server, error) {
	errorLog, err := zap.NewStdLogAt(opts.Log.Named("http"), zap.DebugLevel) // mostly clients' TLS handshake errors
	if err != nil {
		return nil, err
	}
	server := &http.Server{
		Handler:           handler,
		TLSConfig:         opts.TLS,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       ReadTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          errorLog,

		DisableGeneralOptionsHandler: true, // OPTIONS * gets the same response as an unknown path
	}
	if opts.GRPC {
		server.Protocols = &http.Protocols{}
		server.Protocols.SetHTTP1(true) // to respond that the port is for gRPC
		server.Protocols.SetHTTP2(true)
		server.Protocols.SetUnencryptedHTTP2(true)
		server.HTTP2 = &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReceiveBufferPerConnection: streamBuffer,
			MaxReceiveBufferPerStream:     streamBuffer,
			SendPingTimeout:               pingAfter,
			PingTimeout:                   pingAnswer,
		}
	}
	server.ConnState = ConnState
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		c := counted(conn)
		if c == nil {
			c = &Conn{}
		}
		if age := opts.ConnectionMaxAge; age > 0 {
			c.end = opts.Now().Add(time.Duration(float64(age) * (0.9 + 0.2*opts.Jitter())))
		}
		return context.WithValue(ctx, connectionKey{}, c)
	}
	return server, nil
}
