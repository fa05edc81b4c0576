package managedfields

import (
	"reflect"
	"slices"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/schema"
)

// changes are what a write changes, told in any version of the kind: who wrote in a version owns fields of that version.
type changes struct {
	write     *Write
	next, old Object      // old is nil for a creation
	stored    *difference // in the version of the objects
	told      map[*api.Version]difference
}

// in is what changed, in a version. A version that the kind has not, or that the
// objects cannot be shown in, has what the objects have.
func (c *changes) in(apiVersion string) difference {
	if v := versionOf(c.write.Versions, apiVersion); v != nil {
		if d, ok := c.told[v]; ok {
			return d
		}
		if next, old, ok := c.shown(v); ok {
			d := c.write.compare(next, old)
			if c.told == nil {
				c.told = map[*api.Version]difference{}
			}
			c.told[v] = d
			return d
		}
	}
	if c.stored == nil {
		d := c.write.compare(c.next, c.old)
		c.stored = &d
	}
	return *c.stored
}

func (w *Write) compare(next, old Object) difference {
	r := reflect.ValueOf(next)
	t := schema.Of(r.Type())
	d := compareStruct(t, valueOf(old, t), r.Elem(), w.Ignored...)
	strip(d.set)
	strip(d.removed)
	return d
}

func (c *changes) shown(v *api.Version) (next, old Object, ok bool) {
	after, err := v.Show(c.next.(api.Object))
	if err != nil {
		return nil, nil, false
	}
	if c.old == nil {
		return after, nil, true
	}
	before, err := v.Show(c.old.(api.Object))
	return after, before, err == nil
}

func versionOf(versions []*api.Version, apiVersion string) *api.Version {
	i := slices.IndexFunc(versions, func(v *api.Version) bool { return v.GVK.GroupVersion().String() == apiVersion })
	if i < 0 {
		return nil
	}
	return versions[i]
}

// valueOf is the old state; for a creation, it is an object in which nothing is set.
func valueOf(old Object, t *schema.Type) reflect.Value {
	if old == nil {
		return reflect.New(t.Go).Elem()
	}
	return reflect.ValueOf(old).Elem()
}

func (d difference) nothing() bool { return d.set.empty() && d.removed.empty() }
