package apiserver

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// Sizes: of bodies, of objects, of names, of selectors.
func TestSizes(t *testing.T) {
	b := besiege(t)
	cm := func(name, value string) string {
		return `{"metadata":{"name":"` + name + `"},"data":{"x":"` + value + `"}}`
	}
	over := cm("a", strings.Repeat("y", maxBody))
	for _, c := range []struct{ method, target, media string }{{"POST", configMaps, mediaJSON}, {"PUT", configMaps + "/a", mediaJSON}, {"PATCH", configMaps + "/a", mergePatch},
		{"PATCH", configMaps + "/a?fieldManager=f", applyPatch}, {"DELETE", configMaps + "/a", mediaJSON}, {"POST", configMaps, mediaProtobuf}, {"POST", configMaps, mediaYAML}, {"POST", configMaps, mediaCBOR}} {
		b.refused("a body over 3 MB: "+c.method+" "+c.media, c.method, c.target, c.media, over, 32, 413)
	}
	b.refused("an object over 1.5 MB", "POST", configMaps, mediaJSON, cm("a", strings.Repeat("y", maxObjectSize+1)), 64, 413, 422)
	b.seed(t, configMaps, cm(strings.Repeat("a", 253), ""))
	b.refused("a name of 254", "POST", configMaps, mediaJSON, cm(strings.Repeat("a", 254), ""), 16, 422)
	b.refused("a name of a megabyte", "POST", configMaps, mediaJSON, cm(strings.Repeat("a", 1<<20), ""), 64, 422)
	b.refused("a name of 8 kB in the path", "GET", configMaps+"/"+strings.Repeat("a", 8000), "", "", 16, 404)
	labels := make([]string, 10_000)
	for n := range labels {
		labels[n] = fmt.Sprintf(`"l%d":"_bad-"`, n)
	}
	b.refused("ten thousand wrong labels", "POST", configMaps, mediaJSON, `{"metadata":{"name":"l","labels":{`+strings.Join(labels, ",")+`}}}`, 128, 422)
	terms := make([]string, 10_000)
	for n := range terms {
		terms[n] = fmt.Sprint("k", n)
	}
	b.refused("a selector of ten thousand terms", "GET", configMaps+"?labelSelector="+url.QueryEscape(strings.Join(terms, ",")), "", "", 64, 200)
	b.refused("a field selector of ten thousand terms", "GET", configMaps+"?fieldSelector="+url.QueryEscape(strings.Join(terms, "=x,")), "", "", 64, 400)
	for _, s := range []string{"a=(.*)*$", "a in (", "a in ((((", "!!a", "a==b==c", "=", "a>x", "a\x00b", "é=1", strings.Repeat("(", 5000), "a notin"} {
		b.refused("selector "+s[:min(len(s), 20)], "GET", configMaps+"?labelSelector="+url.QueryEscape(s), "", "", 16, 400)
	}
}

// Values that fit no type, or only seem to.
func TestValues(t *testing.T) {
	b := besiege(t)
	pods := "/api/v1/namespaces/default/pods"
	pod := func(spec string) string { return `{"metadata":{"name":"p"},"spec":{` + spec + `}}` }
	container := func(more string) string { return pod(`"containers":[{"name":"c","image":"i",` + more + `}]`) }
	for _, q := range []string{"1e1000000000", "-1e1000000000", "1e-1000000000", "1E99999999999999999999", "NaN", "Inf", "0x10", "1..2", "+-1", strings.Repeat("9", 100_000) + "x", "1Kii", "\\u0000", "-1"} {
		wireQuantity(b, t, q)
		b.refused("quantity "+q[:min(len(q), 20)], "POST", pods, mediaJSON, container(`"resources":{"requests":{"cpu":"`+q+`"},"limits":{"cpu":"`+q+`"}}`), 64, 201, 400, 422)
		b.do("DELETE", pods+"/p?gracePeriodSeconds=0", "", "")
	}
	b.seed(t, pods, container(`"ports":[]`))
	huge := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"1e1000000000"}}}]}}`
	for _, media := range []string{mergePatch, smPatch} {
		b.refused("huge exponent by "+media, "PATCH", pods+"/p", media, huge, 16, 400, 422)
	}
	b.refused("huge exponent applied", "PATCH", pods+"/p?fieldManager=f", applyPatch, huge, 16, 400, 422)
	b.refused("huge exponent by JSON patch", "PATCH", pods+"/p", jsonPatch, `[{"op":"add","path":"/spec/containers/0/resources","value":{"limits":{"cpu":1e-1000000000}}}]`, 16, 400, 422)
	b.refused("hidden huge exponent", "POST", pods, mediaJSON, strings.Replace(huge, "1e1000000000", "1\\u00651000000000", 1), 16, 400, 422)
	b.refused("huge exponent in YAML", "POST", pods, mediaYAML, strings.Replace(huge, `"1e1000000000"`, `"1\x651000000000"`, 1), 16, 400, 422)
	b.refused("huge exponent, then a good one", "POST", pods, mediaJSON, strings.Replace(huge, `"1e1000000000"`, `"1e1000000000","cpu":"1"`, 1), 16, 400, 422)
	b.refused("huge pages with an exponent", "POST", pods, mediaJSON, container(`"resources":{"limits":{"hugepages-1e1000000000":"1","cpu":"1"}}`), 16, 400, 422)
	// What only looks like one elsewhere is nobody's business.
	b.do("DELETE", pods+"/p?gracePeriodSeconds=0", "", "")
	b.seed(t, pods, `{"metadata":{"name":"12e345678","labels":{"commit":"12e345678"},"annotations":{"a":"\u003c1e1000000000"}},"spec":{"containers":[{"name":"c","image":"i","env":[{"name":"E","value":"1e1000000000"}]}]}}`)
	// A tag and a length with more bytes than they need, which the decoders take.
	quantity := "\x8a\x80\x80\x80\x80\x00\x8c\x80\x00" + "1e1000000000"
	wire := []byte(quantity)
	for range 4 {
		wire = append([]byte{0x12, byte(len(wire))}, wire...)
	}
	if !hugeOnWire(wire, 0) {
		t.Error("a padded message hides a quantity")
	}
	for _, spec := range []string{`"containers":"x"`, `"containers":{}`, `"containers":[[]]`, `"containers":[7]`, `"activeDeadlineSeconds":9223372036854775808`, `"activeDeadlineSeconds":1.5`, `"activeDeadlineSeconds":1e400`,
		`"priority":2147483648`, `"priority":"1"`, `"hostNetwork":"true"`, `"nodeSelector":[]`, `"nodeSelector":{"a":1}`, `"securityContext":7`, `"volumes":[{"name":"v","secret":"x"}]`} {
		b.refused(spec, "POST", pods, mediaJSON, pod(spec), 16, 400)
		b.refused("strictly "+spec, "POST", pods+"?fieldValidation=Strict", mediaYAML, pod(spec), 16, 400)
	}
	for what, body := range map[string]string{"no UTF-8 in a name": "{\"metadata\":{\"name\":\"a\xff\"}}", "NUL in a name": `{"metadata":{"name":"a\u0000"}}`, "a bare NUL": "{\"metadata\":{\"name\":\"a\x00\"}}",
		"NUL in a label": `{"metadata":{"name":"a","labels":{"a":"\u0000"}}}`, "half a surrogate": `{"metadata":{"name":"\ud800"}}`, "a byte order mark": "\ufeff{}", "nothing": "", "blanks": "  ", "null": "null", "a list": "[]", "a text": `"x"`,
		"two objects": `{"metadata":{"name":"a"}} {"metadata":{"name":"b"}}`, "a name that steps up": `{"metadata":{"name":"../b"}}`, "a namespace that steps up": `{"metadata":{"name":"a","namespace":"../b"}}`} {
		b.refused(what, "POST", configMaps, mediaJSON, body, 16, 400, 422)
		if what == "two objects" {
			continue // compat: the first YAML document counts
		}
		b.refused(what+" in YAML", "POST", configMaps+"?fieldValidation=Strict", mediaYAML, body, 16, 400, 422)
	}
	for what, path := range map[string]string{"no UTF-8": configMaps + "/a%ff", "NUL": configMaps + "/a%00", "a newline": configMaps + "/a%0d%0aX-Injected:1"} {
		w := b.do("GET", path, "", "")
		if w.Code != 404 || w.Header().Get("X-Injected") != "" {
			t.Errorf("%s in a path: %d %v", what, w.Code, w.Header())
		}
	}
	b.refused("duplicate keys, strictly", "POST", configMaps+"?fieldValidation=Strict", mediaJSON, `{"metadata":{"name":"a","name":"b"}}`, 16, 400)
	for _, media := range []string{"text/html", "application/x-gob", "multipart/form-data; boundary=x", "application/json, application/yaml", "*/*", "application/json-patch+json", strings.Repeat("x/", 4000)} {
		b.refused("body of type "+media[:min(len(media), 30)], "POST", configMaps, media, `{"metadata":{"name":"a"}}`, 16, 400, 415)
	}
	// Warnings quote what was sent: a few, and cut.
	unknown := make([]string, 200)
	for n := range unknown {
		unknown[n] = fmt.Sprintf(`"%s%d":1`, strings.Repeat("u", 10_000), n)
	}
	w := b.do("POST", configMaps, mediaJSON, `{"metadata":{"name":"warned"},`+strings.Join(unknown, ",")+`}`)
	if n := len(strings.Join(w.Header().Values("Warning"), "")); w.Code != 201 || n == 0 || n > 3*maxWarnings {
		t.Errorf("%d, warnings of %d bytes", w.Code, n)
	}
}

// wireQuantity sends a pod with a quantity as protobuf.
func wireQuantity(b *besieged, t *testing.T, q string) {
	field := func(n byte, v string) string { return string([]byte{n<<3 | 2}) + string(appendVarint(nil, len(v))) + v }
	resources := field(2, field(1, "cpu")+field(2, field(1, q)))
	raw := field(1, field(1, "p")) + field(2, field(2, field(1, "c")+field(2, "i")+field(8, resources)))
	body := "k8s\x00" + field(1, field(1, "v1")+field(2, "Pod")) + field(2, raw)
	b.refused("in protobuf: "+q[:min(len(q), 20)], "POST", "/api/v1/namespaces/default/pods?dryRun=All", mediaProtobuf, body, 64, 201, 400, 422)
}

// What a Secret holds is in no error and no log, however it is written wrongly.
func TestSecretsAreNotEchoed(t *testing.T) {
	b := besiege(t)
	const hidden = "aHVudGVyMg"
	secrets := "/api/v1/namespaces/default/secrets"
	b.seed(t, secrets, `{"metadata":{"name":"s"},"data":{"a":"`+hidden+`=="}}`)
	for _, c := range [][4]string{
		{"POST", secrets, mediaJSON, `{"metadata":{"name":"t"},"data":{"a":"` + hidden + `!"}}`},
		{"POST", secrets, mediaJSON, `{"metadata":{"name":"t"},"stringData":{"a":["` + hidden + `"]}}`},
		{"POST", secrets, mediaJSON, `{"metadata":{"name":"t"},"type":"kubernetes.io/dockerconfigjson","data":{".dockerconfigjson":"` + hidden + `=="}}`},
		{"PATCH", secrets + "/s", mergePatch, `{"data":{"a":["` + hidden + `"]}}`},
		{"PATCH", secrets + "/s", smPatch, `{"data":{"a":{"x":"` + hidden + `"}}}`},
		{"PATCH", secrets + "/s", jsonPatch, `[{"op":"replace","path":"/data/a","value":["` + hidden + `"]}]`},
		{"PATCH", secrets + "/s", jsonPatch, `[{"op":"test","path":"/data/a","value":"wrong"}]`},
		{"PUT", secrets + "/s", mediaJSON, `{"metadata":{"name":"other"},"data":{"a":"` + hidden + `=="}}`},
	} {
		text := b.refused(c[0]+" "+c[3], c[0], c[1], c[2], c[3], 16, 400, 422)
		if strings.Contains(text, hidden) || strings.Contains(text, "hunter2") {
			t.Errorf("%s %s is told: %s", c[0], c[3], text)
		}
	}
	if strings.Contains(b.logged(), hidden) || strings.Contains(b.logged(), "hunter2") {
		t.Error("a Secret is in the log")
	}
}

type brokenBody struct{ err error }

func (b brokenBody) Read([]byte) (int, error) { return 0, b.err }

// Bodies that are compressed, shorter than announced, or never end.
func TestBodiesOnTheWire(t *testing.T) {
	b := besiege(t)
	send := func(change func(*http.Request)) (int, string) {
		r := asMasters(httptest.NewRequest("POST", configMaps, strings.NewReader(`{"metadata":{"name":"a"}}`)))
		change(r)
		w := httptest.NewRecorder()
		b.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	for _, e := range []string{"gzip", "deflate", "br", "zstd", "gzip, gzip"} {
		if code, text := send(func(r *http.Request) { r.Header.Set("Content-Encoding", e) }); code != http.StatusUnsupportedMediaType {
			t.Errorf("%s: %d %s", e, code, text)
		}
	}
	if code, text := send(func(r *http.Request) { r.Body = io.NopCloser(brokenBody{os.ErrDeadlineExceeded}) }); code != http.StatusGatewayTimeout {
		t.Errorf("a slow body: %d %s", code, text)
	}
	if code, text := send(func(r *http.Request) { r.Body = io.NopCloser(brokenBody{io.ErrUnexpectedEOF}) }); code != http.StatusBadRequest {
		t.Errorf("a short body: %d %s", code, text)
	}
	// A body that is announced as small and is endless is read to the limit, not further.
	endless := &endlessBody{}
	code, text := send(func(r *http.Request) { r.ContentLength, r.Body = 10, io.NopCloser(endless) })
	if code != http.StatusRequestEntityTooLarge || endless.read > 2*maxBody {
		t.Errorf("an endless body: %d after %d bytes: %s", code, endless.read, text)
	}
	// The time a body may take is set before it is read and taken back after.
	var deadlines []time.Time
	r := asMasters(httptest.NewRequest("POST", configMaps, strings.NewReader(`{"metadata":{"name":"b"}}`)))
	b.ServeHTTP(&deadlined{httptest.NewRecorder(), &deadlines}, r)
	if len(deadlines) != 2 || deadlines[0].IsZero() || time.Until(deadlines[0]) > bodyTimeout || !deadlines[1].IsZero() {
		t.Errorf("deadlines of reading: %v", deadlines)
	}
}

type endlessBody struct{ read int }

func (e *endlessBody) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += len(p)
	return len(p), nil
}

type deadlined struct {
	*httptest.ResponseRecorder
	set *[]time.Time
}

func (d *deadlined) SetReadDeadline(t time.Time) error { *d.set = append(*d.set, t); return nil }

// Whoever is nobody gets at the few public paths, by GET, and nowhere else.
func TestAnonymousIsKeptOut(t *testing.T) {
	b := besiege(t)
	public := map[string]bool{"/healthz": true, "/livez": true, "/readyz": true, "/version": true, "/version/": true}
	paths := []string{"/", "/api", "/apis", "/apis/apps", "/api/v1", "/openapi/v3", "/openapi/v2", "/metrics", "/debug/pprof/", "/logs", "/healthz/ping", "/livez/ping", "/readyz/../api", "/version/../api/v1",
		"//healthz", "/healthz/", "/.well-known/openid-configuration", "/openid/v1/jwks", configMaps, configMaps + "/x", "/api/v1/namespaces/default/pods/p/exec", "/api/v1/nodes/n/proxy/", "/api/v1/watch/pods",
		"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "/apis/authentication.k8s.io/v1/tokenreviews", "/api/v1/namespaces/default/serviceaccounts/default/token"}
	for p := range public {
		paths = append(paths, p)
	}
	for _, p := range paths {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
			for _, header := range []http.Header{{}, {"Authorization": {"Bearer x.y.z"}}, {"X-Remote-User": {"admin"}, "X-Remote-Group": {"system:masters"}}, {"Impersonate-User": {"admin"}}, {"X-Forwarded-For": {"127.0.0.1"}}} {
				r := httptest.NewRequest(method, "/", nil)
				r.URL.Path, r.Header = p, header.Clone()
				w := httptest.NewRecorder()
				b.ServeHTTP(w, r)
				want := w.Code == 401 || w.Code == 403
				if public[p] && method == "GET" && header.Get("Authorization") == "" {
					want = w.Code == 200 || want && header.Get("Impersonate-User") != ""
				}
				if !want {
					t.Errorf("%s %s %v: %d %.200s", method, p, header, w.Code, w.Body)
				}
			}
		}
	}
}

// A client that is gone is not worked for: a list that waits for a revision of the future ends with it.
func TestGoneClientsAreLeft(t *testing.T) {
	b := besiege(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := asMasters(httptest.NewRequest("GET", configMaps+"?resourceVersion=999999999", nil)).WithContext(ctx)
	done := make(chan struct{})
	go func() { b.ServeHTTP(httptest.NewRecorder(), r); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Error("the server waits for nobody")
	}
}
