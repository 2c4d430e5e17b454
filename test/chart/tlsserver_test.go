package chart

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const tlsTimeout = 30 * time.Second

// authority is a private certificate authority.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{certificate, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue returns a certificate for a name, and its key, both in PEM.
func (a authority) issue(t *testing.T, serial int64, name string, until time.Time) (certificate, secret []byte) {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// tlsServer is a PostgreSQL with TLS.
type tlsServer struct {
	admin  string // the URL of its superuser, without TLS
	folder string // of its data
	issued int64
}

// newTLSServer starts a PostgreSQL whose role watchbill, which owns a database of the same name, may connect only with
// TLS and with a certificate of the clients' authority.
func newTLSServer(t *testing.T, clients authority, password string) *tlsServer {
	t.Helper()
	s := &tlsServer{admin: newServer(t)}
	s.folder = s.setting(t, "data_directory")
	s.write(t, "clients.crt", clients.pem)
	access := filepath.Join(s.folder, "pg_hba.conf")
	s.write(t, "pg_hba.conf", []byte("hostnossl all watchbill all reject\nhostssl all watchbill all scram-sha-256 clientcert=verify-ca\n"+readFile(t, access)))
	execAll(t, s.admin, "CREATE ROLE watchbill LOGIN PASSWORD '"+password+"'", "CREATE DATABASE watchbill OWNER watchbill", "ALTER SYSTEM SET ssl_ca_file = 'clients.crt'")
	database, err := url.Parse(s.admin)
	if err != nil {
		t.Fatal(err)
	}
	database.Path = "/watchbill"
	execAll(t, database.String(), readFile(t, chartFile("files", "postgresql", "roles.sql")))
	return s
}

// show makes the server use a certificate of an authority for new connections.
func (s *tlsServer) show(t *testing.T, by authority, name string, until time.Time) {
	t.Helper()
	s.issued++
	certificate, key := by.issue(t, s.issued, name, until)
	s.write(t, "server.crt", certificate)
	s.write(t, "server.key", key)
	execAll(t, s.admin, "ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")
	for deadline := time.Now().Add(tlsTimeout); ; time.Sleep(10 * time.Millisecond) {
		serial, err := s.serial(t)
		if err == nil && serial == s.issued {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server shows certificate %d, %v; want %d", serial, err, s.issued)
		}
	}
}

// serial returns the serial number of the server's certificate.
func (s *tlsServer) serial(t *testing.T) (int64, error) {
	t.Helper()
	u, err := url.Parse(s.admin)
	if err != nil {
		return 0, err
	}
	conn, err := (&net.Dialer{Timeout: tlsTimeout}).DialContext(t.Context(), "tcp", u.Host)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(tlsTimeout)); err != nil {
		return 0, err
	}
	const requestTLS = 80877103
	if _, err := conn.Write(binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, requestTLS)); err != nil {
		return 0, err
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(conn, answer); err != nil || answer[0] != 'S' {
		return 0, fmt.Errorf("it does not speak TLS: %q, %w", answer, err)
	}
	secured := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test reads the certificate
	if err := secured.HandshakeContext(t.Context()); err != nil {
		return 0, err
	}
	return secured.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

// write writes a file owned by the server's account to the server's folder.
func (s *tlsServer) write(t *testing.T, name string, content []byte) {
	t.Helper()
	folder, err := os.Stat(s.folder)
	if err != nil {
		t.Fatal(err)
	}
	owner := folder.Sys().(*syscall.Stat_t)
	path := filepath.Join(s.folder, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
}

func (s *tlsServer) setting(t *testing.T, name string) (value string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.admin)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}
