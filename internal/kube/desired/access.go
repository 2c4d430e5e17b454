package desired

import (
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/watchbill/watchbill/api/v1alpha1"
)

// ServiceAccount returns the account with which the Pods of a namespace's reports authenticate to the API. It has no
// Kubernetes permissions.
func ServiceAccount(namespace string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		TypeMeta:                     typed(corev1.SchemeGroupVersion, "ServiceAccount"),
		ObjectMeta:                   shared(namespace),
		AutomountServiceAccountToken: new(false),
	}
}

// Role returns the role that permits creating and reading a namespace's reports. The API checks it by SubjectAccessReview;
// Kubernetes has no such resource.
func Role(namespace string) *rbacv1.Role {
	return &rbacv1.Role{
		TypeMeta:   typed(rbacv1.SchemeGroupVersion, "Role"),
		ObjectMeta: shared(namespace),
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{v1alpha1.GroupVersion.Group},
			Resources: []string{"monitoringreports/run"},
			Verbs:     []string{"create", "get"},
		}},
	}
}

// RoleBinding returns the binding of the Role to the ServiceAccount.
func RoleBinding(namespace string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		TypeMeta:   typed(rbacv1.SchemeGroupVersion, "RoleBinding"),
		ObjectMeta: shared(namespace),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: SharedName},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: SharedName}},
	}
}

// shared returns the metadata of objects that all reports of a namespace share and none owns.
func shared(namespace string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: SharedName, Labels: SharedLabels()}
}
