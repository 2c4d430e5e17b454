package proxies_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"time"
)

// writeCertificate writes a certificate for loopback, with its key, and adds it to roots.
func writeCertificate(file string, roots *x509.CertPool) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{listens}, IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	var all bytes.Buffer
	for kind, content := range map[string][]byte{"CERTIFICATE": certificate, "PRIVATE KEY": secret} {
		if err := pem.Encode(&all, &pem.Block{Type: kind, Bytes: content}); err != nil {
			return err
		}
	}
	roots.AppendCertsFromPEM(all.Bytes())
	return os.WriteFile(file, all.Bytes(), 0o600)
}
