# Images without a daemon: one layer with static programs, in the layout that `docker save` writes.

# pack_image NAME PROGRAM PATH [PROGRAM PATH]...: make $state/images/NAME.tar, whose entry point is the first program.
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
	tar --create --file "$folder/layer.tar" --directory "$folder/root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner .
	local sum
	sum=$(sha256sum "$folder/layer.tar" | cut -d' ' -f1)
	cat >"$folder/config.json" <<-JSON
		{"architecture": "$(go env GOARCH)", "os": "linux", "config": {"Entrypoint": ["$entry"], "User": "65532:65532", "WorkingDir": "/"},
		 "rootfs": {"type": "layers", "diff_ids": ["sha256:$sum"]}}
	JSON
	cat >"$folder/manifest.json" <<-JSON
		[{"Config": "config.json", "RepoTags": ["watchbill.local/$name:cluster"], "Layers": ["layer.tar"]}]
	JSON
	tar --create --file "$state/images/$name.tar" --directory "$folder" config.json layer.tar manifest.json
	rm -rf "$folder"
}

load() {
	local file
	for file; do
		inside ctr --address "$containerd_socket" --namespace k8s.io images import --digests "$(realpath "$file")" >/dev/null
	done
}
