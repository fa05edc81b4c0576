package core

import (
	"cmp"
	"path"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// validateVolumes checks the volumes, and returns those that are fit to be mounted by name.
func validateVolumes(vs []corev1.Volume, m *metav1.ObjectMeta, template bool, at *field.Path) (volumes, field.ErrorList) {
	var errs field.ErrorList
	good := volumes{all: vs}
	created := createdClaims(vs, m.Name)
	for i := range vs {
		v := &vs[i]
		idx := meta.Index(at, i)
		e := validateVolumeSource(v, m, idx)
		if v.Image != nil && v.Image.Reference == "" && !template { // templates may leave it to others
			e = append(e, field.Required(idx.Child("image", "reference"), ""))
		}
		if v.Name == "" {
			e = append(e, field.Required(idx.Child("name"), ""))
		} else if msgs := meta.DNSLabel(v.Name); msgs != nil {
			e = append(e, meta.Invalids(meta.Child(idx, "name"), v.Name, msgs)...)
		}
		if good.before(v.Name, i) != nil {
			e = append(e, field.Duplicate(idx.Child("name"), v.Name))
		}
		if len(e) > 0 {
			good.refuse(i)
		} else {
			good.admit(v)
			if c := v.PersistentVolumeClaim; c != nil && created[c.ClaimName] {
				errs = append(errs, field.Invalid(idx.Child("persistentVolumeClaim", "claimName"), c.ClaimName, "must not reference a PVC that gets created for an ephemeral volume"))
			}
		}
		errs = append(errs, e...)
	}
	return good, errs
}

// volumes are the volumes of a pod, and which of them are valid.
type volumes struct {
	all     []corev1.Volume
	refused []bool                    // by index; nil while all are valid
	byName  map[string]*corev1.Volume // the valid ones where there are many
}

// manyVolumes are so many that they are not looked through for each mount.
const manyVolumes = 16

func (l *volumes) refuse(i int) {
	if l.refused == nil {
		l.refused = make([]bool, len(l.all))
	}
	l.refused[i] = true
}

func (l *volumes) admit(v *corev1.Volume) {
	if len(l.all) <= manyVolumes {
		return
	}
	if l.byName == nil {
		l.byName = make(map[string]*corev1.Volume, len(l.all))
	}
	l.byName[v.Name] = v
}

// named returns the valid volume of the name.
func (l *volumes) named(name string) *corev1.Volume { return l.before(name, len(l.all)) }

// before returns the valid volume of the name among those before the i-th.
func (l *volumes) before(name string, i int) *corev1.Volume {
	if len(l.all) > manyVolumes {
		return l.byName[name]
	}
	for j := range i {
		if l.all[j].Name == name && (l.refused == nil || !l.refused[j]) {
			return &l.all[j]
		}
	}
	return nil
}

// createdClaims are the claims that come to be with the pod of the name.
func createdClaims(vs []corev1.Volume, pod string) map[string]bool {
	var claims map[string]bool
	for i := range vs {
		if vs[i].Ephemeral == nil || pod == "" {
			continue
		}
		if claims == nil {
			claims = map[string]bool{}
		}
		claims[pod+"-"+vs[i].Name] = true
	}
	return claims
}

// volumeType is a type of volume: its field, whether it is set, and what is wrong with it.
type volumeType struct {
	name     string
	alias    string // compat: what the field is called where there is another one already; empty: its name
	inside   string // compat: what it is called in errors about its own fields; empty: its name
	set      func(*corev1.VolumeSource) bool
	validate func(v *corev1.Volume, m *metav1.ObjectMeta, at *field.Path) field.ErrorList
}

func validateVolumeSource(v *corev1.Volume, m *metav1.ObjectMeta, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	n := 0
	for i := range volumeTypes {
		t := &volumeTypes[i]
		if !t.set(&v.VolumeSource) {
			continue
		}
		if n++; n > 1 {
			errs = append(errs, field.Forbidden(at.Child(cmp.Or(t.alias, t.name)), "may not specify more than 1 volume type"))
			continue
		}
		errs = append(errs, t.validate(v, m, meta.Child(at, cmp.Or(t.inside, t.name)))...)
	}
	if n == 0 {
		errs = append(errs, field.Required(at, "must specify a volume type"))
	}
	if v.Ephemeral != nil && m.Name != "" && v.Name != "" {
		claim := m.Name + "-" + v.Name
		for _, msg := range meta.DNSSubdomain(claim) {
			errs = append(errs, field.Invalid(at.Child("name"), v.Name, "PVC name \""+claim+"\": "+msg))
		}
	}
	if i := v.ISCSI; i != nil && i.InitiatorName != nil && len(v.Name)+len(":")+len(i.TargetPortal) > 64 {
		errs = append(errs, field.Invalid(at.Child("name"), v.Name, longInitiator))
	}
	return errs
}

// longInitiator is what is wrong with names that make an initiator together.
const longInitiator = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified."

// required says which of the texts are missing; pairs of field name and value.
func required(at *field.Path, pairs ...string) field.ErrorList {
	var errs field.ErrorList
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			errs = append(errs, field.Required(at.Child(pairs[i]), ""))
		}
	}
	return errs
}

func validatePartition(n int32, at *field.Path) field.ErrorList {
	if n < 0 || n > 255 {
		return field.ErrorList{field.Invalid(at.Child("partition"), n, "must be between 1 and 255, inclusive")} // compat: 0 is the whole disk
	}
	return nil
}

// noBacksteps refuses paths that go up.
func noBacksteps(p string, at *field.Path) field.ErrorList {
	if !strings.Contains(p, "..") {
		return nil
	}
	for _, part := range strings.Split(p, "/") {
		if part == ".." {
			return field.ErrorList{field.Invalid(at, p, "must not contain '..'")}
		}
	}
	return nil
}

// descendingPath accepts relative paths that stay below where they start.
func descendingPath(p string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if path.IsAbs(p) {
		errs = append(errs, field.Invalid(at, p, "must be a relative path"))
	}
	return append(errs, noBacksteps(p, at)...)
}

// projectedPath is a descending path whose first part is not reserved for the kubelet.
func projectedPath(p string, at *field.Path) field.ErrorList {
	errs := descendingPath(p, at)
	if strings.HasPrefix(p, "..") && !strings.HasPrefix(p, "../") {
		errs = append(errs, field.Invalid(at, p, "must not start with '..'"))
	}
	return errs
}

const modeText = "must be a number between 0 and 0777 (octal), both inclusive"

func validateMode(mode *int32, at *field.Path, child string) field.ErrorList {
	if mode != nil && (*mode < 0 || *mode > 0o777) {
		return field.ErrorList{field.Invalid(at.Child(child), *mode, modeText)}
	}
	return nil
}

func validateItems(items []corev1.KeyToPath, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range items {
		errs = append(errs, validateItem(&items[i], meta.Index(meta.Child(at, "items"), i))...)
	}
	return errs
}

func validateItem(k *corev1.KeyToPath, at *field.Path) field.ErrorList {
	errs := required(at, "key", k.Key, "path", k.Path)
	errs = append(errs, projectedPath(k.Path, meta.Child(at, "path"))...)
	return append(errs, validateMode(k.Mode, at, "mode")...)
}

func validateDownwardFile(f *corev1.DownwardAPIVolumeFile, at *field.Path) field.ErrorList {
	errs := required(at, "path", f.Path)
	errs = append(errs, projectedPath(f.Path, meta.Child(at, "path"))...)
	switch {
	case f.FieldRef != nil:
		errs = append(errs, validateFieldRef(f.FieldRef, volumeFieldPaths, meta.Child(at, "fieldRef"))...)
		if f.ResourceFieldRef != nil {
			errs = append(errs, field.Invalid(at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
		}
	case f.ResourceFieldRef != nil:
		errs = append(errs, validateResourceRef(f.ResourceFieldRef, meta.Child(at, "resourceFieldRef"), true)...)
	default:
		errs = append(errs, field.Required(at, "one of fieldRef and resourceFieldRef is required"))
	}
	return append(errs, validateMode(f.Mode, at, "mode")...)
}

var (
	iqnRE = regexp.MustCompile(`iqn\.\d{4}-\d{2}\.([[:alnum:]-.]+)(:[^,;*&$|\s]+)$`)
	euiRE = regexp.MustCompile(`^eui.[[:alnum:]]{16}$`)
	naaRE = regexp.MustCompile(`^naa.[[:alnum:]]{32}$`)
)

func validateISCSI(s *corev1.ISCSIVolumeSource, at *field.Path) field.ErrorList {
	return validateISCSISource(s, "must be valid format starting with iqn, eui, or naa", at)
}

// validateISCSISource says of names of no known sort what otherSort is.
func validateISCSISource(s *corev1.ISCSIVolumeSource, otherSort string, at *field.Path) field.ErrorList {
	errs := required(at, "targetPortal", s.TargetPortal)
	if s.IQN == "" {
		errs = append(errs, field.Required(at.Child("iqn"), ""))
	} else {
		errs = append(errs, validateISCSIName(s.IQN, otherSort, at.Child("iqn"))...)
	}
	if s.Lun < 0 || s.Lun > 255 {
		errs = append(errs, field.Invalid(at.Child("lun"), s.Lun, "must be between 0 and 255, inclusive"))
	}
	if (s.DiscoveryCHAPAuth || s.SessionCHAPAuth) && s.SecretRef == nil {
		errs = append(errs, field.Required(at.Child("secretRef"), ""))
	}
	if s.InitiatorName != nil {
		errs = append(errs, validateISCSIName(*s.InitiatorName, otherSort, at.Child("initiatorname"))...)
	}
	return errs
}

func validateISCSIName(name, otherSort string, at *field.Path) field.ErrorList {
	good, text := false, "must be valid format"
	switch {
	case strings.HasPrefix(name, "iqn"):
		good = iqnRE.MatchString(name)
	case strings.HasPrefix(name, "eui"):
		good = euiRE.MatchString(name)
	case strings.HasPrefix(name, "naa"):
		good = naaRE.MatchString(name)
	default:
		text = otherSort
	}
	if good {
		return nil
	}
	return field.ErrorList{field.Invalid(at, name, text)}
}

func validateFC(s *corev1.FCVolumeSource, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch {
	case len(s.TargetWWNs) < 1 && len(s.WWIDs) < 1:
		errs = append(errs, field.Required(at.Child("targetWWNs"), "must specify either targetWWNs or wwids, but not both"))
	case len(s.TargetWWNs) != 0 && len(s.WWIDs) != 0:
		errs = append(errs, field.Invalid(at.Child("targetWWNs"), s.TargetWWNs, "targetWWNs and wwids can not be specified simultaneously"))
	}
	switch {
	case len(s.TargetWWNs) != 0 && s.Lun == nil:
		errs = append(errs, field.Required(at.Child("lun"), "lun is required if targetWWNs is specified"))
	case len(s.TargetWWNs) != 0 && (*s.Lun < 0 || *s.Lun > 255):
		errs = append(errs, field.Invalid(at.Child("lun"), *s.Lun, "must be between 0 and 255, inclusive"))
	}
	return errs
}

func validateCSIVolume(s *corev1.CSIVolumeSource, at *field.Path) field.ErrorList {
	errs := ValidateCSIDriverName(s.Driver, meta.Child(at, "driver"))
	if r := s.NodePublishSecretRef; r != nil {
		if r.Name == "" {
			errs = append(errs, field.Required(at.Child("nodePublishSecretRef", "name"), ""))
		} else {
			// compat: the error names the wrong field upstream.
			errs = append(errs, meta.NameError(meta.Child(at, "name"), r.Name, meta.DNSSubdomain)...)
		}
	}
	return errs
}

// ValidateCSIDriverName checks the name that a CSI driver is known by.
func ValidateCSIDriverName(name string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if name == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	if len(name) > 63 {
		errs = append(errs, field.TooLong(at, name, 63))
	}
	return append(errs, meta.Invalids(at, name, meta.DNSSubdomain(strings.ToLower(name)))...)
}

func validateEphemeral(v *corev1.Volume, _ *metav1.ObjectMeta, at *field.Path) field.ErrorList {
	t := v.Ephemeral.VolumeClaimTemplate
	if t == nil {
		return field.ErrorList{field.Required(at.Child("volumeClaimTemplate"), "")}
	}
	tp := meta.Child(at, "volumeClaimTemplate")
	errs := validateClaimTemplateMeta(&t.ObjectMeta, meta.Child(tp, "metadata"))
	return append(errs, ValidateClaimSpec(&t.Spec, meta.Child(tp, "spec"))...)
}
