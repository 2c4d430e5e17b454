package connections

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// How long a connection may take. Slow clients are cut off. An answer that may take longer than these asks for it, see
// exchange.outlast.
const (
	readHeaderTimeout = 5 * time.Second
	ReadTimeout       = 30 * time.Second
	writeTimeout      = 75 * time.Second // more than MaxWait
	// idleTimeout is longer than balancers keep idle connections to servers, so that they close them and never send a request
	// on one that is being closed: nginx and Varnish 60 s, Caddy 2 min, Google's 10 min.
	idleTimeout    = 620 * time.Second
	maxHeaderBytes = 16 << 10

	// Of a connection of gRPC.
	maxStreams   = 64        // calls under way
	streamBuffer = 256 << 10 // bytes that were sent and that no call has read yet
	pingAfter    = 30 * time.Second
	pingAnswer   = 15 * time.Second // a client that does not answer a ping is gone
)

// ServerOptions are what NewHTTPServer needs beside the handler.
type ServerOptions struct {
	// TLS, if not nil, has the certificates; Certificates.Config makes it. Serve with ServeTLS(listener, "", "") then.
	TLS *tls.Config
	// ConnectionMaxAge is for how long a connection is kept alive, spread by ±10 %; zero: for as long as the client
	// likes. New replicas get their share of the clients that way.
	ConnectionMaxAge time.Duration
	// GRPC has the server speak HTTP/2 without TLS too, as gRPC does.
	GRPC   bool
	Now    func() time.Time
	Jitter func() float64 // draws from [0, 1)
	Log    *zap.Logger
}

// NewServer makes the server that listens for the API.
func NewServer(handler http.Handler, opts ServerOptions) (*http.Server, error) {
	errorLog, err := zap.NewStdLogAt(opts.Log.Named("http"), zap.DebugLevel) // what clients do wrong in their handshakes
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

		DisableGeneralOptionsHandler: true, // OPTIONS * gets the answer that any unknown path gets
	}
	if opts.GRPC {
		server.Protocols = &http.Protocols{}
		server.Protocols.SetHTTP1(true) // to say that the port is another's
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
