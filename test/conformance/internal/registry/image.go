package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"runtime"
)

// Image describes the contents of an image.
type Image struct {
	// Layers are tar files, lowest first.
	Layers [][]byte
	// Files are one more layer above Layers and map paths to contents.
	Files map[string]string
	// Marker distinguishes images with equal contents: different markers give different ids.
	Marker     string
	User       string
	Cmd        []string
	Entrypoint []string
	Volumes    []string
	WorkingDir string
}

const (
	manifestType = "application/vnd.docker.distribution.manifest.v2+json"
	indexType    = "application/vnd.docker.distribution.manifest.list.v2+json"
	configType   = "application/vnd.docker.container.image.v1+json"
	layerType    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

type descriptor struct {
	MediaType string            `json:"mediaType"`
	Size      int               `json:"size"`
	Digest    string            `json:"digest"`
	Platform  map[string]string `json:"platform,omitempty"`
}

func describe(mediaType string, content []byte) descriptor {
	return descriptor{MediaType: mediaType, Size: len(content), Digest: digestOf(content)}
}

func digestOf(content []byte) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256(content))
}

// build returns the manifest and adds its blobs to blobs by digest. Layers are packed once, and cache has them by digest.
func (image Image) build(blobs map[string][]byte, cache map[string]descriptor) []byte {
	var layers []descriptor
	var diffIDs []string
	for _, layer := range append(append([][]byte{}, image.Layers...), image.topLayer()) {
		diffID := digestOf(layer)
		packed, known := cache[diffID]
		if !known {
			content := compress(layer)
			packed = describe(layerType, content)
			blobs[packed.Digest] = content
			cache[diffID] = packed
		}
		layers, diffIDs = append(layers, packed), append(diffIDs, diffID)
	}
	volumes := map[string]struct{}{}
	for _, volume := range image.Volumes {
		volumes[volume] = struct{}{}
	}
	config := encode(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"created":      "2024-01-01T00:00:00Z",
		"config": map[string]any{
			"User": image.User, "Cmd": image.Cmd, "Entrypoint": image.Entrypoint,
			"WorkingDir": image.WorkingDir, "Volumes": volumes,
			"Env": []string{"PATH=/bin:/sbin:/usr/bin:/usr/sbin"},
		},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": diffIDs},
		"history": make([]map[string]string, len(diffIDs)),
	})
	described := describe(configType, config)
	blobs[described.Digest] = config
	return encode(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": described, "layers": layers,
	})
}

func (image Image) topLayer() []byte {
	var layer bytes.Buffer
	files := tar.NewWriter(&layer)
	add := func(path, content string) {
		must(files.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(content))}))
		_, err := files.Write([]byte(content))
		must(err)
	}
	add("marker", image.Marker)
	for path, content := range image.Files {
		add(path, content)
	}
	must(files.Close())
	return layer.Bytes()
}

func index(manifest []byte) []byte {
	entry := describe(manifestType, manifest)
	entry.Platform = map[string]string{"architecture": runtime.GOARCH, "os": "linux"}
	return encode(map[string]any{
		"schemaVersion": 2, "mediaType": indexType, "manifests": []descriptor{entry},
	})
}

func compress(content []byte) []byte {
	var packed bytes.Buffer
	writer, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	must(err)
	_, err = writer.Write(content)
	must(err)
	must(writer.Close())
	return packed.Bytes()
}

func encode(value any) []byte {
	text, err := json.Marshal(value)
	must(err)
	return text
}

// must is for calls that cannot fail, such as writing to memory.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
