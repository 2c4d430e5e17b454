package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
)

// The parts of SPDX 2.3 (https://spdx.github.io/spdx-spec/v2.3/) that describe the modules of a Go program.
type spdxDocument struct {
	Version       string             `json:"spdxVersion"`
	License       string             `json:"dataLicense"`
	ID            string             `json:"SPDXID"`
	Name          string             `json:"name"`
	Namespace     string             `json:"documentNamespace"`
	CreationInfo  spdxCreation       `json:"creationInfo"`
	Packages      []spdxPackage      `json:"packages"`
	Relationships []spdxRelationship `json:"relationships"`
}

type spdxCreation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	ID           string          `json:"SPDXID"`
	Name         string          `json:"name"`
	Version      string          `json:"versionInfo,omitempty"`
	Location     string          `json:"downloadLocation"`
	Analyzed     bool            `json:"filesAnalyzed"`
	ExternalRefs []spdxReference `json:"externalRefs,omitempty"`
}

type spdxReference struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type spdxRelationship struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

// sbomOf lists the modules that a program was built from, as the Go linker recorded them.
func sbomOf(program string, o options) ([]byte, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("read what %s is made of: %w", program, err)
	}
	binary, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(binary)
	root := "SPDXRef-" + o.program()
	doc := spdxDocument{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: o.program(),
		Namespace:     "https://github.com/watchbill/watchbill/sbom/" + hex.EncodeToString(sum[:]),
		CreationInfo:  spdxCreation{Created: epoch.Format("2006-01-02T15:04:05Z"), Creators: []string{"Tool: watchbill-hack-image"}},
		Packages:      []spdxPackage{{ID: root, Name: info.Main.Path, Version: o.version, Location: "NOASSERTION"}},
		Relationships: []spdxRelationship{{From: "SPDXRef-DOCUMENT", Type: "DESCRIBES", To: root}},
	}
	modules := append([]*debug.Module{{Path: "stdlib", Version: strings.TrimPrefix(info.GoVersion, "go")}}, info.Deps...)
	for i, m := range modules {
		if m.Replace != nil {
			m = m.Replace
		}
		id := fmt.Sprintf("SPDXRef-module-%d", i)
		doc.Packages = append(doc.Packages, spdxPackage{
			ID: id, Name: m.Path, Version: m.Version, Location: "NOASSERTION",
			ExternalRefs: []spdxReference{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + m.Path + "@" + m.Version}},
		})
		doc.Relationships = append(doc.Relationships, spdxRelationship{From: root, Type: "DEPENDS_ON", To: id})
	}
	return json.MarshalIndent(doc, "", " ")
}
