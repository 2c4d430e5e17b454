# The programs of the cluster and their paths.

built=(etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl coredns)

program() { echo "$cache/cluster-programs/$1"; }

# link_programs NAME...: link programs under a fixed name, and build them if necessary.
link_programs() {
	local name
	mkdir -p "$cache/cluster-programs"
	for name; do
		ln -sfn "$("$here/../tool" --path "$name")" "$cache/cluster-programs/$name"
	done
}

find_programs() {
	local name missing=()
	for name in containerd ctr runc iptables nft conntrack ip openssl nsenter unshare; do
		command -v "$name" >/dev/null || missing+=("$name")
	done
	[[ -x $(cni_plugins)/bridge ]] || missing+=("the CNI plugins")
	if ((${#missing[@]})); then
		echo "cluster: not found: ${missing[*]}" >&2
		echo "cluster: on Debian: apt-get install containerd runc containernetworking-plugins iptables nftables conntrack iproute2 openssl" >&2
		exit 1
	fi
	link_programs "${built[@]}"
}

cni_plugins() {
	local folder
	for folder in /usr/lib/cni /opt/cni/bin /usr/libexec/cni; do
		[[ ! -x $folder/bridge ]] || break
	done
	echo "$folder"
}

build_pause() {
	CGO_ENABLED=0 go build -C "$here/pause" -trimpath -buildvcs=false -ldflags '-s -w' -o "$state/images/pause" .
	echo "$state/images/pause"
}
