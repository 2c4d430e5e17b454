package controllers

// What the controller may do, from which controller-gen makes config/rbac/role.yaml. The chart says the same in
// charts/watchbill/templates/_rbac.tpl, by where it may do it.
//
// What belongs to no namespace, or must be seen in all: which namespaces and kinds there are, and which Prometheus or
// ThanosRuler might select a rule.
//
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,verbs=get;list;watch
// +kubebuilder:rbac:groups=monitoring.coreos.com,resources=prometheuses;thanosrulers,verbs=get;list;watch
//
// Where it watches: read what there is, say how the reports are. A report that may not be made is told so, too. Of
// accounts and roles there is one name that concerns it.
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
// Where reports may be made: make what they become. monitoringreports/run is what it grants the reports' account, which
// nobody may who does not have it, and what it reads reports with. This role is bound in the namespaces of
// --report-namespaces. An object that is applied is created by its name, so that names can bound this too.
//
// +kubebuilder:rbac:roleName=watchbill-reports,groups=monitoring.watchbill.dev,resources=monitoringreports/finalizers,verbs=update
// +kubebuilder:rbac:roleName=watchbill-reports,groups=monitoring.watchbill.dev,resources=monitoringreports/run,verbs=create;get
// +kubebuilder:rbac:roleName=watchbill-reports,groups=batch,resources=cronjobs;jobs,verbs=create;update;patch;delete
// +kubebuilder:rbac:roleName=watchbill-reports,groups="",resources=serviceaccounts,resourceNames=watchbill-report,verbs=create;update;patch;delete
// +kubebuilder:rbac:roleName=watchbill-reports,groups=rbac.authorization.k8s.io,resources=roles;rolebindings,resourceNames=watchbill-report,verbs=create;update;patch;delete
// +kubebuilder:rbac:roleName=watchbill-reports,groups=monitoring.coreos.com,resources=prometheusrules,verbs=create;update;patch;delete
//
// The lease of the leader, in the controller's own namespace.
//
// +kubebuilder:rbac:roleName=watchbill-leader-election,namespace=watchbill-system,groups=coordination.k8s.io,resources=leases,verbs=get;list;watch;create;update;patch
// +kubebuilder:rbac:roleName=watchbill-leader-election,namespace=watchbill-system,groups="";events.k8s.io,resources=events,verbs=create;patch;update
