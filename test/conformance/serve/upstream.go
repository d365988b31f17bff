package main

import (
	"runtime"

	"dockbridge.test/conformance/internal/registry"
)

// publishUpstream publishes the images that critest pulls from gcr.io, registry.k8s.io and k8s.gcr.io, by repository. critest's
// references are constants. Each is a separate image, except for the tags of one image.
func publishUpstream(images *registry.Registry) {
	const e2e, staging = "e2e-test-images/", "k8s-staging-cri-tools/"
	put := func(image registry.Image, repository string, tags ...string) {
		images.Publish(image, repository, tags...)
	}
	put(image(images, "busybox"), e2e+"busybox", "1.29-2")
	put(image(images, "httpd", "-c", "echo httpd starting; exec httpd -f -p 80 -h /www"), e2e+"httpd", "2.4.39-4")
	nnp := image(images, "nonewprivs")
	nnp.Cmd = []string{"nnp"}
	put(nnp, e2e+"nonewprivs", "1.3")
	put(nginx(images, "80"), e2e+"nginx", "1.14-2")
	put(nginx(images, "12003"), staging+"hostnet-nginx-"+runtime.GOARCH, "latest")

	for _, tag := range []string{"test", "all"} {
		put(image(images, "tag "+tag), staging+"test-image-tag", tag)
	}
	for _, name := range []string{"latest", "1", "2", "3"} {
		put(image(images, "image "+name), staging+"test-image-"+name, "latest")
	}
	put(image(images, "tags"), staging+"test-image-tags", "1", "2", "3")
	for name, user := range map[string]string{
		"uid": "1002", "username": "www-data", "uid-group": "1003:1004", "username-group": "www-data:1004",
	} {
		withUser := image(images, "user "+name)
		withUser.User = user
		put(withUser, staging+"test-image-user-"+name, "latest")
	}
	group := image(images, "predefined group")
	group.User = "1000"
	group.Files = map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\ndefault-user:x:1000:1000::/home:/bin/sh\n",
		"etc/group":  "root:x:0:\ndefault-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\n",
	}
	put(group, staging+"test-image-predefined-group", "latest")
	put(registry.Image{Layers: [][]byte{images.Base}, Marker: "pause", Entrypoint: []string{"pause"}}, "pause", "3.9")
}

func nginx(images *registry.Registry, port string) registry.Image {
	return registry.Image{
		Layers: [][]byte{images.Base, images.Nginx}, Marker: "nginx " + port,
		Cmd: []string{"/usr/sbin/nginx", "-c", "/etc/nginx/" + port + ".conf"},
	}
}
