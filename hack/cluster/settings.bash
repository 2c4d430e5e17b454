# The paths, addresses and names of the cluster.

cache=${WATCHBILL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/watchbill}
state=${WATCHBILL_CLUSTER_DIR:-$cache/cluster}

link=watchbill0 # the host's end of the pair of interfaces
host_address=10.87.0.1
node_address=10.87.0.2
pod_network=10.88.0.0/16
service_network=10.96.0.0/16
kubernetes_address=10.96.0.1
dns_address=10.96.0.10

node_name=watchbill
cgroup=watchbill-cluster
containerd_socket=$state/run/containerd.sock
volumes=10 # number of volumes

# cgroup_roots prints the roots of control groups: one, or one for each controller in version 1.
cgroup_roots() {
	if [[ -f /sys/fs/cgroup/cgroup.controllers ]]; then
		echo /sys/fs/cgroup
	else
		awk '$3 ~ /^cgroup2?$/ { print $2 }' /proc/mounts
	fi
}

kube() { "$(program kubectl)" --kubeconfig "$state/kubeconfig" "$@"; }
