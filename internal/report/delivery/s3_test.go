package delivery_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/report"
	reportjob "github.com/watchbill/watchbill/internal/report/job"
)

// credentials returns a folder like the mounted Secret s3.
func credentials(t testing.TB, id, secret string) string {
	t.Helper()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"accessKeyID": id + "\n", "secretAccessKey": secret})
	return dir
}

func inBucket(endpoint, bucket, prefix, credentials string) reportjob.Output {
	return reportjob.Output{Format: report.HTML, S3: &reportjob.S3{
		Bucket: bucket, Prefix: prefix, Endpoint: endpoint, Region: "us-east-1", Credentials: credentials, Secret: "s3",
	}}
}

// newBucket creates a bucket in the real store and returns the store's URL and the bucket's folder.
func newBucket(t testing.TB, name string) (endpoint, folder string) {
	t.Helper()
	address, root := startStore(t)
	folder = filepath.Join(root, "buckets", name)
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return "http://" + address, folder
}

func TestBucket(t *testing.T) {
	t.Parallel()
	endpoint, folder := newBucket(t, "a-bucket")
	keys := credentials(t, accessKeyID, secretAccessKey)
	others := []string{"daily-20200101T0800Z.json", "daily-2-20200101T0800Z.html", "daily-notes.html"}
	for _, name := range others {
		writeFiles(t, folder, map[string]string{"fleet/x/" + name: "", "daily-20200101T0800Z.html": ""})
	}
	for day := 1; day <= 5; day++ {
		r := aReport(t, inBucket(endpoint, "a-bucket", "fleet/x", keys))
		r.Slot = eight.AddDate(0, 0, day)
		if day == 5 {
			r.Spec.Outputs[0].S3.Region = "" // looked up by the client
		}
		if diff := cmp.Diff([]string{"s3://a-bucket/fleet/x: delivered"}, deliver(t, r, options())); diff != "" {
			t.Fatalf("(-want +got)\n%s", diff)
		}
		want := rendered(t, r, report.HTML)
		if diff := cmp.Diff(want, content(t, filepath.Join(folder, "fleet/x", reportjob.FileName("daily", r.Slot, report.HTML)))); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
	wantEntries(t, filepath.Join(folder, "fleet/x"),
		others[1], others[0], "daily-20260118T0800Z.html", "daily-20260119T0800Z.html", "daily-20260120T0800Z.html", others[2])

	t.Run("without a prefix", func(t *testing.T) {
		r := aReport(t, inBucket(endpoint, "a-bucket", "", keys))
		if diff := cmp.Diff([]string{"s3://a-bucket: delivered"}, deliver(t, r, options())); diff != "" {
			t.Fatalf("(-want +got)\n%s", diff)
		}
		wantEntries(t, folder, ".sgwtmp", "daily-20200101T0800Z.html", "daily-20260115T0800Z.html", "fleet")
	})
}

func TestInvalidBuckets(t *testing.T) {
	t.Parallel()
	endpoint, _ := newBucket(t, "another-bucket")
	good := credentials(t, accessKeyID, secretAccessKey)
	half := credentials(t, accessKeyID, secretAccessKey)
	if err := os.Remove(filepath.Join(half, "secretAccessKey")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, endpoint, bucket, credentials, want string
	}{
		{"no Secret", endpoint, "another-bucket", filepath.Join(good, "none"), "the report's namespace has no Secret s3 with the key accessKeyID"},
		{"half a Secret", endpoint, "another-bucket", half, "the report's namespace has no Secret s3 with the key secretAccessKey"},
		{"an empty one", endpoint, "another-bucket", credentials(t, "", ""), "the key accessKeyID of the Secret s3 is empty"},
		{"no bucket", endpoint, "no-bucket", good, "the bucket no-bucket does not exist at " + endpoint},
		{"another's id", endpoint, "another-bucket", credentials(t, "somebody", secretAccessKey), "the store refuses the report (XAdminUserNotFound: "},
		{"a wrong key", endpoint, "another-bucket", credentials(t, accessKeyID, "wrong-key"), "the store refuses the credentials of the Secret s3 (SignatureDoesNotMatch"},
		{"nobody there", "http://127.0.0.1:1", "another-bucket", good, "cannot reach http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused (tried 3 times)"},
		{"no TLS there", strings.Replace(endpoint, "http:", "https:", 1), "another-bucket", good, "cannot reach https://"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := deliver(t, aReport(t, inBucket(tt.endpoint, tt.bucket, "x", tt.credentials)), options())[0]
			if !strings.HasPrefix(got, "s3://"+tt.bucket+"/x: "+tt.want) {
				t.Errorf("want %q, got %q", tt.want, got)
			}
			for _, secret := range []string{accessKeyID, secretAccessKey, "somebody", "wrong-key"} {
				if strings.Contains(got, secret) {
					t.Errorf("%q is shown in %q", secret, got)
				}
			}
		})
	}
}

// TestBucketsThatMisbehave uses faulty stores.
func TestBucketsThatMisbehave(t *testing.T) {
	t.Parallel()
	refusal := func(status int, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(status)
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>the id %s\nis\u202e not right</Message></Error>", code, accessKeyID)
		}
	}
	list := func(next http.HandlerFunc) http.HandlerFunc { // put works; the rest does not
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				w.Header().Set("ETag", `"x"`)
				return
			}
			next(w, r)
		}
	}
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	for _, tt := range []struct {
		name  string
		store http.HandlerFunc
		tries int64
		want  string
	}{
		{"fails", refusal(http.StatusServiceUnavailable, "SlowDown"), 3, `the store failed (503 SlowDown: "the id … is� not right") (tried 3 times)`},
		{"refuses", refusal(http.StatusBadRequest, "InvalidArgument"), 1, `the store refuses the report (InvalidArgument: "the id … is� not right")`},
		{"denies", refusal(http.StatusForbidden, "AccessDenied"), 1, `the store refuses the credentials of the Secret s3 (AccessDenied: "the id … is� not right")`},
		{"elsewhere, which is not followed", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
		}, 1, "responds with a redirect (307), which is not followed; check the endpoint and the region"},
		{"breaks off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 3, "(tried 3 times)"},
		{"never ends", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, 3, "(tried 3 times)"},
		{"does not list", list(refusal(http.StatusForbidden, "AccessDenied")), 2, `delivered, old reports could not be deleted: the store refuses the credentials of the Secret s3 (AccessDenied: "the id … is� not right")`},
		{"lists without an end", list(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>")
			for i := range 1000 {
				fmt.Fprintf(w, "<Contents><Key>x/daily-2020010%dT0800Z.html</Key></Contents>", i%9+1)
			}
			fmt.Fprint(w, "</ListBucketResult>")
		}), 12, "delivered, old reports could not be deleted: cannot reach "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var tries atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tries.Add(1)
				tt.store(w, r)
			}))
			t.Cleanup(server.Close)
			got := deliver(t, aReport(t, inBucket(server.URL, "a-bucket", "x", credentials(t, accessKeyID, secretAccessKey))), options())[0]
			if !strings.Contains(got, tt.want) || tries.Load() != tt.tries {
				t.Errorf("want %q after %d tries, got %q after %d", tt.want, tt.tries, got, tries.Load())
			}
		})
	}
	t.Cleanup(func() {
		if n := elsewhere.Load(); n > 0 {
			t.Errorf("a redirect was followed %d times", n)
		}
	})
}

// TestSlowStore uses a store that never responds.
func TestSlowStore(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(silent))
	t.Cleanup(server.Close)
	o := options()
	o.Try = 50 * time.Millisecond
	got := deliver(t, aReport(t, inBucket(server.URL, "a-bucket", "x", credentials(t, accessKeyID, secretAccessKey))), o)
	if diff := cmp.Diff([]string{"s3://a-bucket/x: it took longer than 50ms (tried 3 times)"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// silent never responds.
func silent(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // otherwise it would not notice that the client disconnects
	<-r.Context().Done()
}
