package rig

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ControllerOptions configures `watchbill controller`. Other flags have their defaults.
type ControllerOptions struct {
	Binary     string
	Kubeconfig string // path of a file
	Dir        string // for its log
	Args       []string
}

// Controller is a running `watchbill controller`. Nothing waits for it to be ready, since the time that it needs is
// measured.
type Controller struct {
	*Process
	Log        string
	metricsURL string
}

// StartController starts a controller, with metrics on a free port.
func StartController(ctx context.Context, o ControllerOptions) (*Controller, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	metrics := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	c := &Controller{Log: filepath.Join(o.Dir, "controller.log"), metricsURL: "http://" + metrics + "/metrics"}
	args := append([]string{"controller", "--kubeconfig", o.Kubeconfig, "--metrics-listen", metrics, "--health-listen", "0"}, o.Args...)
	c.Process, err = Start(ctx, Command{Path: o.Binary, Args: args, Dir: o.Dir, Log: c.Log})
	return c, err
}

// Metrics reads the controller's metrics, like Server.Metrics.
func (c *Controller) Metrics(ctx context.Context) (map[string]float64, error) {
	return (&Server{MetricsURL: c.metricsURL}).Metrics(ctx)
}

// Tail returns the last lines that the controller logged.
func (c *Controller) Tail() string { return tail(c.Log) }

// PeakRSS returns the process's peak resident memory in bytes.
func (p *Process) PeakRSS() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", p.PID(), err)
	}
	for line := range strings.Lines(string(text)) {
		if size, found := strings.CutPrefix(line, "VmHWM:"); found {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(size), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("process %d has ended", p.PID())
}
