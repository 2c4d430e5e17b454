# What the cluster has in addition to its parts: kubeconfigs, volumes, monitoring.

# kubeconfigs writes one file for users and one for each part.
kubeconfigs() {
	local user file
	for user in admin kubelet controller-manager scheduler proxy; do
		file=$state/pki/$user.kubeconfig
		[[ $user != admin ]] || file=$state/kubeconfig
		cat >"$file" <<-YAML
			apiVersion: v1
			kind: Config
			clusters: [{name: watchbill, cluster: {server: "https://$node_address:6443", certificate-authority-data: $(base64 -w0 <"$state/pki/ca.crt")}}]
			users: [{name: $user, user: {token: $(<"$state/pki/$user.token")}}]
			contexts: [{name: watchbill, context: {cluster: watchbill, user: $user}}]
			current-context: watchbill
		YAML
		chmod 600 "$file"
	done
}

# volumes prints a default StorageClass and its volumes: folders on the node, emptied when they are released.
volumes() {
	cat <<-YAML
		apiVersion: storage.k8s.io/v1
		kind: StorageClass
		metadata: {name: local, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
		provisioner: kubernetes.io/no-provisioner
		volumeBindingMode: WaitForFirstConsumer
	YAML
	local i
	for ((i = 0; i < volumes; i++)); do
		mkdir -p "$state/volumes/$i"
		chmod 0777 "$state/volumes/$i"
		cat <<-YAML
			---
			apiVersion: v1
			kind: PersistentVolume
			metadata: {name: local-$i}
			spec:
			  capacity: {storage: 10Gi}
			  accessModes: [ReadWriteOnce, ReadWriteMany]
			  storageClassName: local
			  persistentVolumeReclaimPolicy: Retain
			  hostPath: {path: $state/volumes/$i, type: Directory}
		YAML
	done
}

# monitoring installs prometheus-operator, a Prometheus that selects every rule and monitor, and an Alertmanager.
monitoring() {
	link_programs operator prometheus-config-reloader prometheus alertmanager
	pack_image prometheus-operator "$(program operator)" /bin/operator
	pack_image prometheus-config-reloader "$(program prometheus-config-reloader)" /bin/prometheus-config-reloader
	pack_image prometheus "$(program prometheus)" /bin/prometheus
	pack_image alertmanager "$(program alertmanager)" /bin/alertmanager
	load "$state"/images/{prometheus-operator,prometheus-config-reloader,prometheus,alertmanager}.tar
	local module
	module=$(go list -C "$here/../tools/prometheus-operator" -m -f '{{.Dir}}' github.com/prometheus-operator/prometheus-operator)
	kube apply --server-side -f "$module/example/prometheus-operator-crd" >/dev/null
	eventually 30 "the resources of prometheus-operator" kube wait --for=condition=Established crd/prometheuses.monitoring.coreos.com crd/alertmanagers.monitoring.coreos.com --timeout=1s
	kube apply --server-side -f "$here/manifests/monitoring.yaml" >/dev/null
	eventually 120 Prometheus kube -n monitoring wait --for=condition=Available prometheus/main --timeout=1s
	eventually 120 Alertmanager kube -n monitoring wait --for=condition=Available alertmanager/main --timeout=1s
	echo "cluster: monitoring is up: services prometheus-operated:9090 and alertmanager-operated:9093 in namespace monitoring"
}
