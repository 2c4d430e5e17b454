package chart

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// contents holds the data of Secrets and ConfigMaps, by their names and keys.
type contents map[string]map[string]string

// process is a container as a process on this machine: its arguments and variables, with its mounts in a folder of the
// test.
type process struct{ args, env []string }

// processOf creates the volumes of a container as the kubelet does. Variables of the test come last.
func processOf(t *testing.T, template corev1.PodTemplateSpec, name string, have contents) process {
	t.Helper()
	for _, c := range append(template.Spec.InitContainers, template.Spec.Containers...) {
		if c.Name != name {
			continue
		}
		var paths []string // pairs of the mounts' paths in the container and on this machine
		for _, m := range c.VolumeMounts {
			paths = append(paths, m.MountPath+"/", mounted(t, template, m.Name, have)+"/")
		}
		here := strings.NewReplacer(paths...)
		var p process
		for _, arg := range c.Args {
			p.args = append(p.args, here.Replace(arg))
		}
		for _, variable := range c.Env {
			value := variable.Value
			if from := variable.ValueFrom; from != nil && from.SecretKeyRef != nil {
				value = have.get(t, from.SecretKeyRef.Name, from.SecretKeyRef.Key)
			} else if from != nil {
				continue // resource limits of the container
			}
			p.env = append(p.env, variable.Name+"="+here.Replace(value))
		}
		return p
	}
	t.Fatalf("there is no container %s", name)
	return process{}
}

func (c contents) get(t *testing.T, name, key string) string {
	t.Helper()
	value, ok := c[name][key]
	if !ok {
		t.Fatalf("there is no %s in %s", key, name)
	}
	return value
}

// mounted creates the folder of a volume.
func mounted(t *testing.T, template corev1.PodTemplateSpec, name string, have contents) string {
	t.Helper()
	for _, v := range template.Spec.Volumes {
		if v.Name != name {
			continue
		}
		folder := t.TempDir()
		var from string
		var items []corev1.KeyToPath
		switch {
		case v.Secret != nil:
			from, items = v.Secret.SecretName, v.Secret.Items
		case v.ConfigMap != nil:
			from, items = v.ConfigMap.Name, v.ConfigMap.Items
		case v.EmptyDir != nil:
			return folder
		default:
			t.Fatalf("what is the volume %s?", name)
		}
		if len(items) == 0 {
			for key := range have[from] {
				items = append(items, corev1.KeyToPath{Key: key, Path: key})
			}
		}
		for _, item := range items {
			if err := os.WriteFile(filepath.Join(folder, item.Path), []byte(have.get(t, from, item.Key)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return folder
	}
	t.Fatalf("there is no volume %s", name)
	return ""
}

// environment returns a process's whole environment. Nothing in it refers to a database of the test.
func (p process) environment(more ...string) []string {
	return append(append([]string{fmt.Sprintf("PATH=%s", os.Getenv("PATH")), "HOME=/nonexistent"}, p.env...), more...)
}
