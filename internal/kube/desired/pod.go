package desired

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/watchbill/watchbill/api/v1alpha1"
	reportjob "github.com/watchbill/watchbill/internal/report/job"
)

const (
	containerName = "report"
	nobody        = int64(65532) // the user and group of the image

	tokenFolder   = "/var/run/secrets/watchbill"
	tokenAudience = "watchbill"
	tokenSeconds  = int64(600) // the minimum that Kubernetes issues
	urlFile       = "url"      // the file with a webhook's URL, in its secret's directory
)

func outputFolder(i int) string { return fmt.Sprintf("/outputs/%d", i) }
func secretFolder(i int) string { return fmt.Sprintf("/secrets/%d", i) }

// podTemplate returns the Pod of a scheduled or manually requested run. It gets no token for the Kubernetes API and meets
// the restricted Pod Security standard.
func podTemplate(r Resolved, opts Options) corev1.PodTemplateSpec {
	volumes, mounts := volumes(r.Spec.Outputs)
	pod := corev1.PodSpec{
		RestartPolicy:                corev1.RestartPolicyNever, // a new Pod is a new try, and leaves the old one's log
		ServiceAccountName:           SharedName,
		AutomountServiceAccountToken: new(false),
		EnableServiceLinks:           new(false),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot:        new(true),
			RunAsUser:           new(nobody),
			RunAsGroup:          new(nobody),
			FSGroup:             new(nobody),
			FSGroupChangePolicy: new(corev1.FSGroupChangeOnRootMismatch), // avoids visiting all files of a volume each time
			SeccompProfile:      &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name:                     containerName,
			Image:                    opts.Image,
			ImagePullPolicy:          opts.ImagePullPolicy,
			Args:                     []string{"report", "run"},
			Env:                      environment(jobSpec(r, opts), opts),
			Resources:                *opts.Resources.DeepCopy(),
			VolumeMounts:             mounts,
			TerminationMessagePolicy: corev1.TerminationMessageReadFile, // the end of a log is not a result
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false),
				Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				ReadOnlyRootFilesystem:   new(true),
			},
		}},
		Volumes: volumes,
	}
	for _, name := range opts.ImagePullSecrets {
		pod.ImagePullSecrets = append(pod.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: Labels(r.Name)}, Spec: pod}
}

func environment(spec reportjob.Spec, opts Options) []corev1.EnvVar {
	return []corev1.EnvVar{
		{Name: "WATCHBILL_SPEC", Value: encoded(spec)},
		// The slot is the end of the Job's name. The Job's annotation with it is not copied to the Pod.
		{Name: "WATCHBILL_JOB_NAME", ValueFrom: &corev1.EnvVarSource{
			FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels['batch.kubernetes.io/job-name']"},
		}},
		{Name: "WATCHBILL_SERVER", Value: opts.Server},
		{Name: "WATCHBILL_TOKEN_FILE", Value: tokenFolder + "/token"},
	}
}

// volumes returns the volumes of the API token, temporary files, and the outputs.
func volumes(outputs []v1alpha1.Output) ([]corev1.Volume, []corev1.VolumeMount) {
	all := []corev1.Volume{
		{Name: "token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
				Audience: tokenAudience, ExpirationSeconds: new(tokenSeconds), Path: "token",
			}}},
		}}},
		{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
			Medium: corev1.StorageMediumMemory, SizeLimit: new(resource.MustParse("64Mi")),
		}}},
	}
	mounts := []corev1.VolumeMount{
		{Name: "token", MountPath: tokenFolder, ReadOnly: true},
		{Name: "tmp", MountPath: "/tmp"},
	}
	claims := map[string]string{} // the volumes of the claims
	for i, o := range outputs {
		if v := o.PersistentVolumeClaim; v != nil {
			// One volume per claim: the kubelet hangs on Pods with one claim in two volumes.
			name, known := claims[v.ClaimName]
			if !known {
				name = fmt.Sprintf("output-%d", i)
				claims[v.ClaimName] = name
				all = append(all, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
					PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: v.ClaimName},
				}})
			}
			mounts = append(mounts, corev1.VolumeMount{Name: name, MountPath: outputFolder(i)})
		}
		if secret := secretOf(o); secret != nil {
			name := fmt.Sprintf("secret-%d", i)
			all = append(all, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: secret}})
			mounts = append(mounts, corev1.VolumeMount{Name: name, MountPath: secretFolder(i), ReadOnly: true})
		}
	}
	return all, mounts
}

// secretOf returns the keys that an output needs of a Secret; nil if it needs none. The volume is optional, so that a missing
// Secret fails one output and not the report.
func secretOf(o v1alpha1.Output) *corev1.SecretVolumeSource {
	switch {
	case o.S3 != nil:
		return &corev1.SecretVolumeSource{
			SecretName: o.S3.SecretRef.Name,
			Optional:   new(true),
			Items: []corev1.KeyToPath{
				{Key: "accessKeyID", Path: "accessKeyID"},
				{Key: "secretAccessKey", Path: "secretAccessKey"},
				{Key: "sessionToken", Path: "sessionToken"},
			},
		}
	case o.Webhook != nil:
		return &corev1.SecretVolumeSource{
			SecretName: o.Webhook.URLSecretRef.Name,
			Optional:   new(true),
			Items:      []corev1.KeyToPath{{Key: o.Webhook.URLSecretRef.Key, Path: urlFile}},
		}
	}
	return nil
}
