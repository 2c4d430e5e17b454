package controllers

// The controller's permissions, from which controller-gen generates config/rbac/role.yaml. The chart has the same in
// charts/watchbill/templates/_rbac.tpl, by namespace.
//
// Cluster-wide: reading namespaces, kinds, and the Prometheus and ThanosRuler objects that might select a rule.
//
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,verbs=get;list;watch
// +kubebuilder:rbac:groups=monitoring.coreos.com,resources=prometheuses;thanosrulers,verbs=get;list;watch
//
// In watched namespaces: reading objects and writing reports' status, including that of reports that are not allowed. Of
// accounts and roles it reads one name only.
//
// +kubebuilder:rbac:groups=monitoring.watchbill.dev,resources=monitoringreports,verbs=get;list;watch
// +kubebuilder:rbac:groups=monitoring.watchbill.dev,resources=monitoringreports/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=batch,resources=cronjobs;jobs,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=serviceaccounts,resourceNames=watchbill-report,verbs=get;list;watch
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=roles;rolebindings,resourceNames=watchbill-report,verbs=get;list;watch
// +kubebuilder:rbac:groups=monitoring.coreos.com,resources=prometheusrules,verbs=get;list;watch
// +kubebuilder:rbac:groups="";events.k8s.io,resources=events,verbs=create;patch;update
//
// In the namespaces of --report-namespaces: writing reports' objects. monitoringreports/run is the permission that it grants
// to the reports' account, which requires having it, and with which it reads reports. Server-side apply creates objects by
// name, so permissions can be limited by name.
//
// +kubebuilder:rbac:roleName=watchbill-reports,groups=monitoring.watchbill.dev,resources=monitoringreports/finalizers,verbs=update
// +kubebuilder:rbac:roleName=watchbill-reports,groups=monitoring.watchbill.dev,resources=monitoringreports/run,verbs=create;get
// +kubebuilder:rbac:roleName=watchbill-reports,groups=batch,resources=cronjobs;jobs,verbs=create;update;patch;delete
// +kubebuilder:rbac:roleName=watchbill-reports,groups="",resources=serviceaccounts,resourceNames=watchbill-report,verbs=create;update;patch;delete
// +kubebuilder:rbac:roleName=watchbill-reports,groups=rbac.authorization.k8s.io,resources=roles;rolebindings,resourceNames=watchbill-report,verbs=create;update;patch;delete
// +kubebuilder:rbac:roleName=watchbill-reports,groups=monitoring.coreos.com,resources=prometheusrules,verbs=create;update;patch;delete
//
// In the controller's namespace: the Lease of the leader election.
//
// +kubebuilder:rbac:roleName=watchbill-leader-election,namespace=watchbill-system,groups=coordination.k8s.io,resources=leases,verbs=get;list;watch;create;update;patch
// +kubebuilder:rbac:roleName=watchbill-leader-election,namespace=watchbill-system,groups="";events.k8s.io,resources=events,verbs=create;patch;update
