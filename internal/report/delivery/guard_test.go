package delivery_test

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/watchbill/watchbill/internal/report"
	reportjob "github.com/watchbill/watchbill/internal/report/job"
)

// Responses of servers inside the cluster are not shown in a report's status.
func TestResponsesFromPrivateAddressesAreNotQuoted(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	xml := func(code string) string {
		return "<Error><Code>" + code + "</Code><Message>db_password=" + secret + "</Message></Error>"
	}
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		s3     bool
		want   string
	}{
		"an error":           {answer(http.StatusBadRequest, "INTERNAL: db_password="+secret), false, "responds with 400"},
		"a redirect":         {answer(http.StatusFound, "", "Location", "http://"+secret+".internal/"), false, "elsewhere, which is not followed"},
		"a store's error":    {answer(http.StatusForbidden, xml("AccessDenied"), "Content-Type", "application/xml"), true, "(AccessDenied)"},
		"a code of its own":  {answer(http.StatusBadRequest, xml(secret), "Content-Type", "application/xml"), true, "(status 400)"},
		"no store":           {answer(http.StatusBadRequest, secret, "Content-Type", "text/plain"), true, "(status 400)"},
		"a store's nonsense": {answer(http.StatusOK, "<"+secret+"/>", "Content-Type", "application/xml"), true, ""},
	} {
		h := receive(t, tt.answer)
		output := toHook(t, h.url, report.JSON, reportjob.Generic)
		if tt.s3 {
			output = inBucket(h.url, "a-bucket", "", credentials(t, accessKeyID, secretAccessKey))
		}
		o := options()
		o.MayQuote, o.Tries = nil, 1
		got := deliver(t, aReport(t, output), o)[0]
		if !strings.Contains(got, tt.want) || strings.Contains(got, secret) || h.tries() == 0 {
			t.Errorf("%s: want %q and no %q, got %q", name, tt.want, secret, got)
		}
	}
}

// The greeting of a server that does not speak HTTP is not shown.
func TestGreetingsAreNotQuoted(t *testing.T) {
	t.Parallel()
	const greeting = "220 mail.internal ESMTP hunter2"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, greeting+"\r\n")
			_ = conn.Close()
		}
	})
	defer serving.Wait()
	defer listener.Close()
	at := "http://" + listener.Addr().String()
	r := aReport(t, toHook(t, at, report.JSON, reportjob.Generic), inBucket(at, "a-bucket", "", credentials(t, accessKeyID, secretAccessKey)))
	o := options()
	o.MayQuote, o.Tries = nil, 1
	for _, got := range deliver(t, r, o) {
		if !strings.Contains(got, "cannot reach "+at) || strings.Contains(got, "hunter2") || strings.Contains(got, "220") {
			t.Errorf("got %q", got)
		}
	}
}

func TestDisallowedOutputsAreRejected(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		allowed []string
		host    string // used instead of 127.0.0.1
		s3      bool
		want    string // empty if it is delivered
	}{
		{nil, "", false, ""},
		{[]string{"hooks.slack.com"}, "", false, "the host 127.0.0.1:PORT is not among the allowed outputs"},
		{[]string{"127.0.0.0/8"}, "", false, ""},
		{[]string{"10.0.0.0/8"}, "", false, "the address 127.0.0.1 is not among the allowed outputs"},
		{[]string{"localhost"}, "localhost", false, "the address 127.0.0.1 is not among the allowed outputs"},
		{[]string{"localhost", "127.0.0.1"}, "localhost", false, ""},
		{[]string{"https://localhost", "10.0.0.1"}, "localhost", false, "the host localhost:PORT is not among the allowed outputs"},
		{[]string{"s3://others", "127.0.0.1"}, "", true, "the bucket a-bucket is not among the allowed outputs"},
		{[]string{"s3://a-bucket", "10.0.0.1"}, "", true, "the address 127.0.0.1 is not among the allowed outputs"},
		{[]string{"s3://a-bucket", "127.0.0.1"}, "", true, ""},
	} {
		h := receive(t, answer(http.StatusOK, `<ListBucketResult></ListBucketResult>`, "Content-Type", "application/xml"))
		u, err := url.Parse(h.url)
		if err != nil {
			t.Fatal(err)
		}
		at := h.url
		if tt.host != "" {
			at = "http://" + tt.host + ":" + u.Port()
		}
		output := toHook(t, at, report.JSON, reportjob.Generic)
		if tt.s3 {
			output = inBucket(at, "a-bucket", "", credentials(t, accessKeyID, secretAccessKey))
		}
		r := aReport(t, output)
		r.Spec.AllowedOutputs = tt.allowed
		got := deliver(t, r, options())[0]
		want := ": delivered"
		if tt.want != "" {
			want = ": " + strings.ReplaceAll(tt.want, "PORT", u.Port())
		}
		if !strings.HasSuffix(got, want) || (h.tries() > 0) != (tt.want == "") {
			t.Errorf("%v: want %q, got %q after %d requests", tt.allowed, want, got, h.tries())
		}
	}
}

func TestSessionTokensStayOffHTTP(t *testing.T) {
	t.Parallel()
	h := receive(t, answer(http.StatusOK, ""))
	keys := credentials(t, accessKeyID, secretAccessKey)
	writeFiles(t, keys, map[string]string{"sessionToken": "the-session-token"})
	got := deliver(t, aReport(t, inBucket(h.url, "a-bucket", "", keys)), options())[0]
	if !strings.Contains(got, "the Secret s3 has a sessionToken, which is sent over https alone") || h.tries() > 0 {
		t.Errorf("got %q after %d requests", got, h.tries())
	}
}
