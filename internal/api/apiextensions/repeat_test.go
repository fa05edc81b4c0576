package apiextensions

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// spent is the processor time of this thread so far: how busy the machine is makes no difference to it.
func spent(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestManyNames: what a definition may name very often is judged in a time that grows with how often, not with its square.
func TestManyNames(t *testing.T) {
	const often = 20000
	distinct, same := make([]string, often), make([]string, often)
	for i := range distinct {
		distinct[i], same[i] = fmt.Sprintf("v%d", i), "a"
	}
	items := func(required []string) apiextensionsv1.JSONSchemaProps {
		p := map[string]apiextensionsv1.JSONSchemaProps{"a": {Type: "string"}}
		for _, k := range distinct {
			p[k] = apiextensionsv1.JSONSchemaProps{Type: "string"}
		}
		return apiextensionsv1.JSONSchemaProps{Type: "object", Properties: p, Required: required}
	}
	list := func(keys []string, of apiextensionsv1.JSONSchemaProps) func(*apiextensionsv1.CustomResourceDefinition) {
		kind := "map"
		return func(o *apiextensionsv1.CustomResourceDefinition) {
			o.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties = map[string]apiextensionsv1.JSONSchemaProps{
				"list": {Type: "array", XListType: &kind, XListMapKeys: keys, Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &of}},
			}
		}
	}
	url := "https://example.com"
	reviews := func(versions []string) func(*apiextensionsv1.CustomResourceDefinition) {
		return func(o *apiextensionsv1.CustomResourceDefinition) {
			o.Spec.Conversion = &apiextensionsv1.CustomResourceConversion{Strategy: apiextensionsv1.WebhookConverter, Webhook: &apiextensionsv1.WebhookConversion{
				ClientConfig: &apiextensionsv1.WebhookClientConfig{URL: &url}, ConversionReviewVersions: versions}}
		}
	}
	for name, change := range map[string]func(*apiextensionsv1.CustomResourceDefinition){
		"review versions":       reviews(append([]string{"v1"}, distinct...)),
		"one review version":    reviews(same),
		"keys":                  list(distinct, items(distinct)),
		"one key":               list(same, items([]string{"a"})),
		"keys that nothing has": list(distinct, apiextensionsv1.JSONSchemaProps{Type: "object"}),
		"keys without defaults": list(distinct, items(same)),
	} {
		t.Run(name, func(t *testing.T) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			best := time.Hour
			for range 5 {
				o := read(t, []byte(base))
				change(o)
				start := spent(t)
				row.Prepare(o)
				row.Default(o)
				text := row.Validate(o).ToAggregate()
				best = min(best, spent(t)-start)
				if name == "one review version" && text == nil {
					t.Error("nothing is said")
				}
				// Several tries, and a tenth of what the square of them takes.
				if best < time.Second {
					return
				}
			}
			t.Errorf("judged in %v", best)
		})
	}
	formats := func(n int) *apiextensionsv1.CustomResourceDefinition {
		o := read(t, []byte(base))
		p := map[string]apiextensionsv1.JSONSchemaProps{}
		for _, k := range distinct[:n] {
			p[k] = apiextensionsv1.JSONSchemaProps{Type: "string", Format: k}
		}
		o.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties = p
		return o
	}
	before, after := formats(often/2), formats(often)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := spent(t)
	if texts := warn(after, before); len(texts) != often/2 {
		t.Errorf("%d warnings", len(texts))
	}
	if took := spent(t) - start; took > 5*time.Second {
		t.Errorf("warnings take %v", took)
	}
}
