package manifest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestBadInput sends what no client should. One server takes it all: none of it may
// end it, and each refusal has to say what is wrong.
func TestBadInput(t *testing.T) {
	cl := newCluster(t)
	const maps, pods = "/api/v1/namespaces/default/configmaps", "/api/v1/namespaces/default/pods"
	object := func(kind, meta, rest string) string {
		if rest != "" {
			rest = "," + rest
		}
		return fmt.Sprintf(`{"apiVersion":"v1","kind":%q,"metadata":{%s}%s}`, kind, meta, rest)
	}
	pod := func(spec string) string {
		return object("Pod", `"name":"a"`, `"spec":{"containers":[{"name":"c","image":"i"`+spec+`}]}`)
	}
	labels := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"l%d":"v"`, i)
		}
		return `"labels":{` + b.String()[1:] + `}`
	}
	for name, c := range map[string]struct {
		url, contentType, body string
		code                   int
		text                   string
	}{
		"a body of 3 MiB and a byte": {maps, "", object("ConfigMap", `"name":"a"`, `"data":{"a":"`+strings.Repeat("a", 3<<20)+`"}`), http.StatusRequestEntityTooLarge, "limit is 3145728"},
		"a body past 1 MiB of data":  {maps, "", object("ConfigMap", `"name":"a"`, `"data":{"a":"`+strings.Repeat("a", 1<<20+1)+`"}`), 422, "Too long: may not be more than 1048576 bytes"},
		"1 MiB of data":              {maps, "", object("ConfigMap", `"name":"full"`, `"data":{"a":"`+strings.Repeat("a", 1<<20)+`"}`), 201, ""},
		"ten thousand labels":        {maps, "", object("ConfigMap", `"name":"labels",`+labels(10000), ""), 201, ""},
		"ten thousand bad labels":    {maps, "", object("ConfigMap", `"name":"a",`+strings.ReplaceAll(labels(10000), `"v"`, `"v v"`), ""), 422, "a valid label must be an empty string or consist of"},
		"ten thousand finalizers":    {maps, "", object("ConfigMap", `"name":"finalizers","finalizers":[`+strings.Repeat(`"example.com/a",`, 9999)+`"example.com/a"]`, ""), 201, ""},
		"a name of 253 characters":   {maps, "", object("ConfigMap", `"name":"`+strings.Repeat("a", 253)+`"`, ""), 201, ""},
		"a name of 254 characters":   {maps, "", object("ConfigMap", `"name":"`+strings.Repeat("a", 254)+`"`, ""), 422, "must be no more than 253"},
		"a name of 1 MiB":            {maps, "", object("ConfigMap", `"name":"`+strings.Repeat("a", 1<<20)+`"`, ""), 422, "must be no more than 253"},
		"a name with a slash":        {maps, "", object("ConfigMap", `"name":"a/b"`, ""), 422, "a lowercase RFC 1123 subdomain must consist of"},
		"a name that is a dot":       {maps, "", object("ConfigMap", `"name":"."`, ""), 422, "a lowercase RFC 1123 subdomain must consist of"},
		"a name with a null byte":    {maps, "", object("ConfigMap", `"name":"a\u0000b"`, ""), 422, "a lowercase RFC 1123 subdomain must consist of"},
		"generateName at the limit":  {maps, "", object("ConfigMap", `"generateName":"`+strings.Repeat("g", 400)+`"`, ""), 422, "metadata.generateName"},

		"past int32":            {pods, "", pod(`,"ports":[{"containerPort":2147483648}]`), 400, "cannot unmarshal number 2147483648 into Go struct field"},
		"past int64":            {pods, "", object("Pod", `"name":"a"`, `"spec":{"terminationGracePeriodSeconds":9223372036854775808,"containers":[{"name":"c","image":"i"}]}`), 400, "cannot unmarshal number"},
		"a fraction":            {pods, "", pod(`,"ports":[{"containerPort":80.5}]`), 400, "cannot unmarshal number 80.5"},
		"a number in exponents": {pods, "", pod(`,"ports":[{"containerPort":1e400}]`), 400, "cannot"},
		"a quantity of 1e1000":  {pods, "", pod(`,"resources":{"requests":{"cpu":"1e1000"}}`), 400, "quantities must match the regular expression"},
		"a quantity of 1e-1000": {pods, "", pod(`,"resources":{"requests":{"cpu":"1e-1000"}}`), 400, "quantities must match the regular expression"},
		"a quantity of digits":  {pods, "", pod(`,"resources":{"requests":{"cpu":"` + strings.Repeat("9", 100000) + `"}}`), 0, ""},
		"a quantity of nothing": {pods, "", pod(`,"resources":{"requests":{"cpu":""}}`), 400, "quantities must match the regular expression"},
		"a quantity of letters": {pods, "", pod(`,"resources":{"requests":{"cpu":"NaN"}}`), 400, "quantities must match the regular expression"},
		"a time that is none":   {maps, "", object("ConfigMap", `"name":"a","creationTimestamp":"yesterday"`, ""), 400, "cannot parse"},
		"a year of five digits": {maps, "", object("ConfigMap", `"name":"a","creationTimestamp":"10000-01-01T00:00:00Z"`, ""), 400, "parsing time"},

		"nested ten thousand deep": {maps, "", object("ConfigMap", `"name":"a"`, `"data":`+strings.Repeat(`{"a":`, 10000)+`1`+strings.Repeat(`}`, 10000)), 400, ""},
		"nested lists":             {maps, "", strings.Repeat("[", 100000) + strings.Repeat("]", 100000), 400, ""},
		"nested YAML":              {maps, "application/yaml", strings.Repeat("a: {", 20000) + strings.Repeat("}", 20000), 400, ""},
		"aliases of aliases": {maps, "application/yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\na: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n" +
			"c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n", http.StatusRequestEntityTooLarge, "Request entity too large"},
		"invalid UTF-8":           {maps, "", object("ConfigMap", `"name":"a"`, "\"data\":{\"a\":\"\xff\xfe\"}"), 0, ""},
		"invalid UTF-8 in a name": {maps, "", object("ConfigMap", "\"name\":\"a\xff\"", ""), 422, "a lowercase RFC 1123 subdomain must consist of"},
		"half a surrogate":        {maps, "", object("ConfigMap", `"name":"a"`, `"data":{"a":"\ud800"}`), 0, ""},
		"invalid UTF-8 in YAML":   {maps, "application/yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: \"\xff\"}\n", 400, ""},
		"nothing":                 {maps, "", "", 400, ""},
		"null":                    {maps, "", "null", 422, "name or generateName is required"},
		"a list":                  {maps, "", "[]", 400, ""},
		"text":                    {maps, "", `"hello"`, 400, ""},
		"cut short":               {maps, "", `{"apiVersion":"v1","kind":"ConfigMap"`, 400, ""},
		"another object after it": {maps, "", object("ConfigMap", `"name":"two"`, "") + object("ConfigMap", `"name":"three"`, ""), 400, ""},
		"a key twice":             {maps, "", object("ConfigMap", `"name":"a","name":"b"`, ""), 400, "duplicate field"},
		"metadata is text":        {maps, "", `{"apiVersion":"v1","kind":"ConfigMap","metadata":"a"}`, 400, "cannot unmarshal string into Go struct field"},
		"a list where a map is":   {maps, "", object("ConfigMap", `"name":"a"`, `"data":["a"]`), 400, "cannot unmarshal array into Go struct field ConfigMap.data"},
		"protobuf that is none":   {maps, "application/vnd.kubernetes.protobuf", "k8s\x00\xff\xff\xff", 400, ""},
		"protobuf without a mark": {maps, "application/vnd.kubernetes.protobuf", "\x0a\x00", 400, ""},
		"CBOR that is none":       {maps, "application/cbor", "\xd9\xd9\xf7\xff", 400, ""},
		"a type nobody reads":     {maps, "text/html", "<p>", http.StatusUnsupportedMediaType, ""},
		"ten thousand containers": {pods, "", object("Pod", `"name":"a"`, `"spec":{"containers":[`+strings.Repeat(`{"name":"c","image":"i"},`, 9999)+`{"name":"c","image":"i"}]}`), 422, `Duplicate value: \"c\"`},
	} {
		t.Run(name, func(t *testing.T) {
			if c.contentType == "" {
				c.contentType = "application/json"
			}
			a := cl.ask("POST", c.url+"?"+strict, c.contentType, []byte(c.body))
			head := string(a.body[:min(len(a.body), 600)])
			if c.code != 0 && a.code != c.code || a.code >= 500 {
				t.Errorf("status %d, want %d\n%s", a.code, c.code, head)
			}
			if !strings.Contains(string(a.body), c.text) {
				t.Errorf("no %q in\n%s", c.text, head)
			}
			if a.code >= 400 && (a.message() == "" || a.tree == nil) {
				t.Errorf("%d without a word: %s", a.code, head)
			}
		})
	}
	if a := cl.ask("GET", maps, "", nil); a.code != 200 {
		t.Errorf("the server answers %d afterwards", a.code)
	}
}
