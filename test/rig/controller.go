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

// ControllerOptions say how to run `watchbill controller`. What is not said is as the product has it.
type ControllerOptions struct {
	Binary     string
	Kubeconfig string // a file
	Dir        string // for its log
	Args       []string
}

// Controller is `watchbill controller`. It is not waited for: how soon it has done its work is what is measured.
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

// Metrics reads the controller's own figures, as Server's does.
func (c *Controller) Metrics(ctx context.Context) (map[string]float64, error) {
	return (&Server{MetricsURL: c.metricsURL}).Metrics(ctx)
}

// Tail returns the last lines that the controller logged.
func (c *Controller) Tail() string { return tail(c.Log) }

// PeakRSS is the most memory, in bytes, that the process has had resident since it began.
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
