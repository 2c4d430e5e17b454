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

// creator creates a report's own objects. Creating an object costs the API server less than applying one that does not
// exist: it neither parses YAML nor merges. controller-runtime's client would receive every object back in full. Shared
// objects are applied even if they do not exist: the controller may only write objects of their name, and permission to
// create cannot be limited by name.
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

// onlyMetadata is the Accept header that requests only an object's metadata.
const onlyMetadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"

// create creates an object of a named API group, encoded as JSON, and returns its metadata.
func (c *creator) create(ctx context.Context, gvk schema.GroupVersionKind, namespace string, object []byte) (*metav1.PartialObjectMetadata, error) {
	mapping, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, err
	}
	result := c.client.Post().AbsPath("apis", gvk.Group, gvk.Version).Namespace(namespace).Resource(mapping.Resource.Resource).
		Param("fieldManager", fieldManager).Param("fieldValidation", string(unvalidated)).
		SetHeader("Accept", onlyMetadata).Body(object).Do(ctx)
	if err := result.Error(); err != nil { // the error of Raw has no reason
		return nil, err
	}
	text, err := result.Raw()
	if err != nil {
		return nil, err
	}
	created := metadataOf(gvk)
	if err := json.Unmarshal(text, created); err != nil {
		return nil, fmt.Errorf("read the response: %w", err)
	}
	return created, nil
}

// ownCreation returns the entry of managedFields for the fields that the controller set by creating the object, without the
// fields; nil if there is none.
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

// adopt turns the controller's ownership of fields by creation into ownership by apply. Otherwise applying the object would
// not remove a field that is no longer wanted, since its creator would still own it. It is needed once per object, before
// its first change.
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
