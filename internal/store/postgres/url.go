package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// URLFault describes the fault in a database URL, or in the files that it or the environment names. It returns an empty
// string if there is none. The description contains nothing of the URL except file names, since a part that cannot be
// parsed may belong to a secret.
func URLFault(database string) string {
	_, err := pgxpool.ParseConfig(database)
	if err == nil {
		return ""
	}
	const unreadable = "must be a PostgreSQL URL such as postgres://user:password@host/database"
	var parse *pgconn.ParseConfigError
	if !errors.As(err, &parse) || parse.Unwrap() == nil {
		return unreadable
	}
	// The driver distinguishes this kind of error only by its text. Its cause contains file names and
	// nothing else of the URL.
	cause := parse.Unwrap().Error()
	if !strings.HasSuffix(parse.Error(), "`: failed to configure TLS ("+cause+")") {
		return unreadable
	}
	switch {
	case strings.Contains(cause, "add CA to cert pool"):
		return fmt.Sprintf("TLS cannot be set up: %s has no certificate of an authority, in PEM (sslrootcert or PGSSLROOTCERT)", rootCertificate(database))
	case strings.Contains(cause, "read CA file"):
		cause += " (sslrootcert or PGSSLROOTCERT)"
	case strings.Contains(cause, "sslmode"):
		cause = "sslmode must be disable, allow, prefer, require, verify-ca or verify-full"
	}
	return "TLS cannot be set up: " + cause
}

// rootCertificate returns the file of the trusted certificate authorities.
func rootCertificate(database string) string {
	if parsed, err := url.Parse(database); err == nil {
		if file := parsed.Query().Get("sslrootcert"); file != "" {
			return file
		}
	}
	if file := os.Getenv("PGSSLROOTCERT"); file != "" {
		return file
	}
	return "the file"
}
