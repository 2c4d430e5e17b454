# Images without a daemon: one layer, in the layout that `docker save` writes.

# pack_image NAME PROGRAM PATH [PROGRAM PATH]...: create $state/images/NAME.tar with static programs; the first is the entry point.
pack_image() {
	local name=$1 entry=$3 folder
	shift
	folder=$(mktemp -d "$state/images/XXXXXX")
	mkdir -p "$folder/root/tmp"
	chmod 1777 "$folder/root/tmp"
	while (($#)); do
		install -D -m 0755 "$(readlink -f "$1")" "$folder/root$2"
		shift 2
	done
	pack_folder "$folder" "$name:cluster" "\"Entrypoint\": [\"$entry\"], \"User\": \"65532:65532\", \"WorkingDir\": \"/\"" "$state/images/$name.tar"
}

# pack_folder FOLDER NAME:TAG CONFIG FILE: create an image of FOLDER/root, and remove the folder.
pack_folder() {
	local folder=$1 sum
	tar --create --file "$folder/layer.tar" --directory "$folder/root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner .
	sum=$(sha256sum "$folder/layer.tar" | cut -d' ' -f1)
	cat >"$folder/config.json" <<-JSON
		{"architecture": "$(go env GOARCH)", "os": "linux", "config": {$3},
		 "rootfs": {"type": "layers", "diff_ids": ["sha256:$sum"]}}
	JSON
	cat >"$folder/manifest.json" <<-JSON
		[{"Config": "config.json", "RepoTags": ["watchbill.local/$2"], "Layers": ["layer.tar"]}]
	JSON
	tar --create --file "$4" --directory "$folder" config.json layer.tar manifest.json
	rm -rf "$folder"
}

# load FILE...: load images through standard input, since the cluster does not see every folder of the host.
load() {
	local file
	for file; do
		inside ctr --address "$containerd_socket" --namespace k8s.io images import --digests - <"$file" >/dev/null
	done
}
