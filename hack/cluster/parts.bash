# How the parts of the node are started.

start_etcd() {
	start etcd "$(program etcd)" --data-dir "$state/etcd" --unsafe-no-fsync \
		--listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
		--listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
		--initial-cluster default=http://127.0.0.1:2380
}

start_control_plane() {
	start kube-apiserver "$(program kube-apiserver)" \
		--etcd-servers http://127.0.0.1:2379 \
		--advertise-address "$node_address" --bind-address 0.0.0.0 --secure-port 6443 \
		--tls-cert-file "$state/pki/apiserver.crt" --tls-private-key-file "$state/pki/apiserver.key" \
		--client-ca-file "$state/pki/ca.crt" --token-auth-file "$state/pki/tokens.csv" \
		--kubelet-client-certificate "$state/pki/apiserver-kubelet.crt" --kubelet-client-key "$state/pki/apiserver-kubelet.key" \
		--kubelet-preferred-address-types InternalIP \
		--service-account-issuer https://kubernetes.default.svc --service-account-key-file "$state/pki/accounts.key" \
		--service-account-signing-key-file "$state/pki/accounts.key" \
		--service-cluster-ip-range "$service_network" --authorization-mode Node,RBAC --allow-privileged
	start kube-controller-manager "$(program kube-controller-manager)" \
		--kubeconfig "$state/pki/controller-manager.kubeconfig" --leader-elect=false --use-service-account-credentials \
		--service-account-private-key-file "$state/pki/accounts.key" --root-ca-file "$state/pki/ca.crt" \
		--cluster-cidr "$pod_network" --node-monitor-grace-period 60s
	start kube-scheduler "$(program kube-scheduler)" --kubeconfig "$state/pki/scheduler.kubeconfig" --leader-elect=false
}

start_containerd() {
	# restrict_oom_score_adj: without CAP_SYS_RESOURCE runc may not lower a process's score, and fails.
	cat >"$state/containerd.toml" <<-TOML
		version = 2
		root = "$state/containerd"
		state = "/run/containerd"
		[grpc]
		  address = "$containerd_socket"
		[plugins."io.containerd.grpc.v1.cri"]
		  sandbox_image = "watchbill.local/pause:cluster"
		  restrict_oom_score_adj = true
		  [plugins."io.containerd.grpc.v1.cri".containerd]
		    snapshotter = "overlayfs"
		  [plugins."io.containerd.grpc.v1.cri".cni]
		    bin_dir = "$(cni_plugins)"
		    conf_dir = "/etc/cni/net.d"
	TOML
	mkdir -p /etc/cni/net.d
	cat >/etc/cni/net.d/10-bridge.conflist <<-JSON
		{"cniVersion": "0.4.0", "name": "pods", "plugins": [
		  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
		   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$pod_network"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
		  {"type": "portmap", "capabilities": {"portMappings": true}}]}
	JSON
	start containerd containerd --config "$state/containerd.toml"
}

start_node() {
	printf 'nameserver %s\n' "$host_address" >"$state/resolv.conf" # no server is there: the cluster has no access to other networks
	cat >"$state/kubelet.yaml" <<-YAML
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		containerRuntimeEndpoint: unix://$containerd_socket
		authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $state/pki/ca.crt}}
		authorization: {mode: Webhook}
		cgroupDriver: cgroupfs
		cgroupRoot: /$cgroup
		failCgroupV1: false
		failSwapOn: false
		clusterDomain: cluster.local
		clusterDNS: [$dns_address]
		resolvConf: $state/resolv.conf
		enforceNodeAllocatable: []
		evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
		imageGCHighThresholdPercent: 100
		syncFrequency: 5s
		nodeStatusUpdateFrequency: 5s
		configMapAndSecretChangeDetectionStrategy: Watch
	YAML
	start kubelet "$(program kubelet)" --config "$state/kubelet.yaml" --kubeconfig "$state/pki/kubelet.kubeconfig" \
		--hostname-override "$node_name" --node-ip "$node_address"
	cat >"$state/kube-proxy.yaml" <<-YAML
		apiVersion: kubeproxy.config.k8s.io/v1alpha1
		kind: KubeProxyConfiguration
		mode: nftables
		clientConnection: {kubeconfig: $state/pki/proxy.kubeconfig}
		clusterCIDR: $pod_network
		hostnameOverride: $node_name
		conntrack: {maxPerCore: 0, min: 0}
	YAML
	start kube-proxy "$(program kube-proxy)" --config "$state/kube-proxy.yaml"
}

# start_recycler empties volumes whose claim was deleted, and makes them available again.
start_recycler() { start recycler recycle_volumes; }

recycle_volumes() {
	local name phase
	while sleep 1; do
		kube get persistentvolumes --watch --output 'jsonpath={.metadata.name} {.status.phase}{"\n"}' |
			while read -r name phase; do
				[[ $name == local-+([0-9]) && $phase == Released ]] || continue
				find "$state/volumes/${name#local-}" -mindepth 1 -delete
				kube patch persistentvolume "$name" --type json --patch '[{"op": "remove", "path": "/spec/claimRef"}]' || true
			done || true # the API server is unavailable
	done
}
