package server

import "net/http"

// GRPC returns a handler for OTLP over gRPC.
func (s *Server) GRPC() http.Handler { return s.ingest.GRPC(s) }

// EndStreams ends all streamed runs, each with an error event, and rejects new ones. A replica that shuts down calls it
// after it has given runs time to complete.
func (s *Server) EndStreams() { s.ingest.EndStreams() }
