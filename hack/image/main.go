// Command image builds Watchbill's image without a daemon: an OCI archive with one static program for each platform and
// no base image. It is reproducible: the same tree and toolchain give the same digest, which it prints.
//
//	go run . -name watchbill/watchbill:v1 -version v1 -source ../.. -output ../../bin/image.tar
//
// With -package it builds an image of another program of the tree, for tests.
package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// user is the user and group that the program runs as.
const user = "65532:65532"

// epoch is the time stamp of everything in the image, so that builds are reproducible.
var epoch = time.Unix(0, 0).UTC()

type options struct {
	name, version, commit, source, pkg, output, platforms string
}

// program returns the name of the package's program.
func (o options) program() string { return path.Base(o.pkg) }

func main() {
	var o options
	flag.StringVar(&o.name, "name", "watchbill/watchbill:dev", "the image's name and tag")
	flag.StringVar(&o.version, "version", "dev", "the version that `watchbill version` prints")
	flag.StringVar(&o.commit, "commit", "", "the commit that `watchbill version` prints")
	flag.StringVar(&o.source, "source", ".", "the tree")
	flag.StringVar(&o.pkg, "package", "./cmd/watchbill", "the program's package, in the tree")
	flag.StringVar(&o.output, "output", "image.tar", "the archive")
	flag.StringVar(&o.platforms, "platforms", "linux/amd64,linux/arm64", "platforms, separated by commas")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out io.Writer) error {
	work, err := os.MkdirTemp("", "watchbill-image")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for name := range strings.SplitSeq(o.platforms, ",") {
		platform, err := v1.ParsePlatform(name)
		if err != nil {
			return err
		}
		program := filepath.Join(work, strings.ReplaceAll(name, "/", "-"))
		if err := build(ctx, o, *platform, program); err != nil {
			return err
		}
		image, size, err := imageOf(o, *platform, program)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
		fmt.Fprintf(out, "%s: %.1f MiB\n", name, float64(size)/(1<<20))
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	if err := write(o, index, filepath.Join(work, "layout")); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s in %s\n%s\n", o.name, o.output, digest)
	return nil
}

// build compiles the program for a platform.
func build(ctx context.Context, o options, platform v1.Platform, program string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-C", o.source, "-trimpath", "-buildvcs=false",
		"-gcflags=k8s.io/...=-l", "-gcflags=sigs.k8s.io/...=-l", // as in the Makefile
		"-ldflags", "-s -w -X main.version="+o.version+" -X main.commit="+o.commit, "-o", program, o.pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off", "GOOS="+platform.OS, "GOARCH="+platform.Architecture)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build for %s: %w", platform, err)
	}
	return nil
}

// imageOf returns the image of a program and the compressed size of its layer.
func imageOf(o options, platform v1.Platform, program string) (v1.Image, int64, error) {
	content, err := layerOf(o, program)
	if err != nil {
		return nil, 0, err
	}
	layer, err := tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, 0, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: "hack/image", Created: v1.Time{Time: epoch}}})
	if err != nil {
		return nil, 0, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, 0, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = platform.OS, platform.Architecture, platform.Variant
	config.Created = v1.Time{Time: epoch}
	config.Config = v1.Config{
		Entrypoint: []string{"/" + o.program()}, User: user, WorkingDir: "/",
		Labels: map[string]string{
			"org.opencontainers.image.title":    o.program(),
			"org.opencontainers.image.version":  o.version,
			"org.opencontainers.image.licenses": "Apache-2.0",
			"org.opencontainers.image.source":   "https://github.com/watchbill/watchbill",
		},
	}
	image, err = mutate.ConfigFile(image, config)
	if err != nil {
		return nil, 0, err
	}
	size, err := layer.Size()
	return image, size, err
}

// layerOf returns a layer with the program, its user and its SBOM.
func layerOf(o options, program string) ([]byte, error) {
	binary, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	sbom, err := sbomOf(program, o)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range []struct {
		name    string
		mode    int64
		content []byte
	}{
		{"etc/", 0o755, nil},
		{"etc/passwd", 0o644, []byte("watchbill:x:65532:65532:watchbill:/:/sbin/nologin\n")},
		{"tmp/", 0o1777, nil},
		{"usr/", 0o755, nil},
		{"usr/share/", 0o755, nil},
		{"usr/share/sbom/", 0o755, nil},
		{"usr/share/sbom/" + o.program() + ".spdx.json", 0o644, sbom},
		{o.program(), 0o755, binary},
	} {
		header := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.content)), ModTime: epoch, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		if strings.HasSuffix(f.name, "/") {
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), w.Close()
}

// write writes the archive: an OCI layout with the image's name in the annotations that containerd and others read.
func write(o options, index v1.ImageIndex, folder string) error {
	archive, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	_, tag, _ := strings.Cut(o.name[strings.LastIndex(o.name, "/")+1:], ":")
	err = archive.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"io.containerd.image.name": o.name, "org.opencontainers.image.ref.name": tag,
	}))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(o.output), 0o755); err != nil {
		return err
	}
	file, err := os.Create(o.output)
	if err != nil {
		return err
	}
	return errors.Join(pack(file, folder), file.Close())
}

func pack(to io.Writer, folder string) error {
	w := tar.NewWriter(to)
	err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		header := &tar.Header{Name: filepath.ToSlash(name), Mode: 0o644, Size: int64(len(content)), ModTime: epoch, Typeflag: tar.TypeReg}
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	})
	return errors.Join(err, w.Close())
}
