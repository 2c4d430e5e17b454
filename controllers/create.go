package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/csaupgrade"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// creator creates a report's own objects. To create one costs the API server less than to apply one that does not exist: it
// need not parse YAML, nor merge. controller-runtime's client would be sent every object back whole. What a namespace's reports
// share is applied even if it does not exist: we may only write objects of that name, and the right to create knows no names.
type creator struct {
	client rest.Interface
	mapper meta.RESTMapper
}

func newCreator(config *rest.Config, c *http.Client, mapper meta.RESTMapper, s *runtime.Scheme) (*creator, error) {
	config = rest.CopyConfig(config)
	config.NegotiatedSerializer = serializer.NewCodecFactory(s).WithoutConversion()
	config.ContentType = runtime.ContentTypeJSON
	made, err := rest.UnversionedRESTClientForConfigAndClient(config, c)
	return &creator{made, mapper}, err
}

// onlyMetadata asks the API server for no more of an object than its metadata.
const onlyMetadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"

// create has the API server create an object, written as JSON, and returns its metadata.
func (c *creator) create(ctx context.Context, gvk schema.GroupVersionKind, namespace string, object []byte) (*metav1.PartialObjectMetadata, error) {
	mapping, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, err
	}
	root := []string{"apis", gvk.Group, gvk.Version}
	if gvk.Group == "" {
		root = []string{"api", gvk.Version}
	}
	result := c.client.Post().AbsPath(root...).Namespace(namespace).Resource(mapping.Resource.Resource).
		Param("fieldManager", fieldManager).Param("fieldValidation", string(unvalidated)).
		SetHeader("Accept", onlyMetadata).Body(object).Do(ctx)
	if err := result.Error(); err != nil { // that of Raw has no reason

		return nil, err
	}
	text, err := result.Raw()
	if err != nil {
		return nil, err
	}
	created := metadataOf(gvk)
	if err := json.Unmarshal(text, created); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return created, nil
}

// ownCreation returns what says, in an object's managedFields, that its fields are ours by its creation, without the fields.
func ownCreation(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	for _, entry := range entries {
		if createdByUs(entry) {
			return []metav1.ManagedFieldsEntry{{Manager: entry.Manager, Operation: entry.Operation}}
		}
	}
	return nil
}

func createdByUs(entry metav1.ManagedFieldsEntry) bool {
	return entry.Manager == fieldManager && entry.Operation == metav1.ManagedFieldsOperationUpdate && entry.Subresource == ""
}

// adopt makes fields of an object that are ours by its creation ours by applying. Without that, applying the object would
// not take away a field that is wanted no more: it would still be its creator's. It is needed once for an object, before it is first
// changed.
func (r *Reconciler) adopt(ctx context.Context, gvk schema.GroupVersionKind, live client.Object) error {
	if live == nil || len(ownCreation(live.GetManagedFields())) == 0 {
		return nil
	}
	object := metadataOf(gvk)
	if err := r.server.Get(ctx, client.ObjectKeyFromObject(live), object); err != nil {
		return err
	}
	if object.UID != live.GetUID() {
		return apierrors.NewConflict(schema.GroupResource{Group: gvk.Group, Resource: gvk.Kind}, live.GetName(), errReplaced)
	}
	patch, err := csaupgrade.UpgradeManagedFieldsPatch(object, sets.New(fieldManager), fieldManager)
	if err != nil || len(patch) == 0 {
		return err
	}
	return r.client.Patch(ctx, object, client.RawPatch(types.JSONPatchType, patch), unvalidated)
}
