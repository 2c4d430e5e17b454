package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// WebProxy is a third-party HTTP proxy, run in the foreground.
type WebProxy struct {
	Name    string // nginx, haproxy, varnish or caddy
	program string
	main    string // the template around the configuration given to Start; %[1]s is its folder, %[2]s the configuration
	args    func(folder, file, address string) []string
}

// ErrNoWebProxy is returned if a proxy is not installed.
var ErrNoWebProxy = errors.New("the proxy is not installed")

// WebProxies are the proxies that this package can run. The templates of nginx and HAProxy have the limits and timeouts
// of Debian's files: none for nginx, and 5, 50 and 50 s for HAProxy.
var WebProxies = []WebProxy{
	{
		Name: "nginx", program: "nginx",
		main: `daemon off; master_process off; worker_processes 1; pid %[1]s/nginx.pid; error_log %[1]s/error.log;
events { worker_connections 768; }
http {
	access_log %[1]s/access.log; default_type application/octet-stream;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
%[2]s
}
`,
		args: func(folder, file, _ string) []string {
			return []string{"-p", folder, "-c", file, "-e", filepath.Join(folder, "error.log")}
		},
	},
	{
		Name: "haproxy", program: "haproxy",
		main: `defaults
	mode http
	timeout connect 5000
	timeout client 50000
	timeout server 50000
%[2]s
`,
		args: func(_, file, _ string) []string { return []string{"-db", "-f", file} },
	},
	{
		Name: "varnish", program: "varnishd", main: "%[2]s",
		args: func(folder, file, address string) []string {
			return []string{"-F", "-j", "none", "-n", folder, "-a", address, "-f", file, "-s", "malloc,32m"}
		},
	},
	{
		Name: "caddy", program: "caddy", main: "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n}\n%[2]s",
		args: func(_, file, _ string) []string {
			return []string{"run", "--adapter", "caddyfile", "--config", file}
		},
	},
}

// WebProxyNamed returns a proxy by its name.
func WebProxyNamed(name string) (WebProxy, error) {
	for _, p := range WebProxies {
		if p.Name == name {
			return p, nil
		}
	}
	return WebProxy{}, fmt.Errorf("no proxy is called %q", name)
}

// find returns the program's path. Debian installs some in folders that are only in root's PATH.
func (p WebProxy) find() (string, error) {
	for _, name := range []string{p.program, filepath.Join("/usr/sbin", p.program)} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", p.program, ErrNoWebProxy)
}

// Installed reports whether the proxy is installed.
func (p WebProxy) Installed() bool {
	_, err := p.find()
	return err == nil
}

// Start runs the proxy with a configuration that listens on address, and waits until it does. The caller must stop it.
func (p WebProxy) Start(ctx context.Context, folder, address, configuration string) (*Process, error) {
	program, err := p.find()
	if err != nil {
		return nil, err
	}
	folder = filepath.Join(folder, p.Name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	file, log := filepath.Join(folder, "configuration"), filepath.Join(folder, "output.log")
	if err := os.WriteFile(file, fmt.Appendf(nil, p.main, folder, strings.TrimSpace(configuration)), 0o644); err != nil {
		return nil, err
	}
	process, err := Start(ctx, Command{Path: program, Args: p.args(folder, file, address), Dir: folder, Log: log})
	if err != nil {
		return nil, err
	}
	if err := AwaitListening(ctx, address, process); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w\n%s", p.Name, err, tail(log)), process.Kill())
	}
	return process, nil
}

// FreeAddress returns a free address of loopback.
func FreeAddress(ctx context.Context) (string, error) {
	port, err := freePort(ctx)
	return fmt.Sprintf("127.0.0.1:%d", port), err
}
