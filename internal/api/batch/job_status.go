package batch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var statusPath = field.NewPath("status")

// statusChange is a write of a job's status. What a rule is about must have changed for
// most of the rules to hold: a job that breaks one is not stuck with it, and who only
// writes something else is not stopped. Somebody else than the job controller may write
// here (spec.managedBy), and clients rely on what finished jobs look like.
type statusChange struct {
	job       *batchv1.Job // the next one
	now, was  *batchv1.JobStatus
	finished  bool // whether the job is complete or failed is another answer than before
	completes bool // likewise, complete
	errs      field.ErrorList
}

func validateJobStatus(next, old *batchv1.Job) field.ErrorList {
	c := &statusChange{job: next, now: &next.Status, was: &old.Status}
	c.finished = isFinished(c.now) != isFinished(c.was)
	c.completes = c.turns(batchv1.JobComplete)
	c.counts()
	c.uncounted()
	c.conditions()
	c.times()
	c.indexes()
	c.finish()
	c.forGood()
	return c.errs
}

func holds(s *batchv1.JobStatus, t batchv1.JobConditionType) bool {
	return slices.ContainsFunc(s.Conditions, func(c batchv1.JobCondition) bool { return c.Type == t && c.Status == corev1.ConditionTrue })
}

func isFinished(s *batchv1.JobStatus) bool {
	return holds(s, batchv1.JobComplete) || holds(s, batchv1.JobFailed)
}

// turns tells whether a condition became true, or is true no longer.
func (c *statusChange) turns(t batchv1.JobConditionType) bool {
	return holds(c.now, t) != holds(c.was, t)
}

func differ[T comparable](a, b *T) bool {
	return (a == nil) != (b == nil) || a != nil && *a != *b
}

func (c *statusChange) invalid(name string, value any, text string) {
	c.errs = append(c.errs, field.Invalid(statusPath.Child(name), value, text))
}

// counts checks the numbers of pods.
func (c *statusChange) counts() {
	n, w := c.now, c.was
	c.errs = append(c.errs, meta.NonNegative(n.Active, statusPath, "active")...)
	c.errs = append(c.errs, meta.NonNegative(n.Succeeded, statusPath, "succeeded")...)
	c.errs = append(c.errs, meta.NonNegative(n.Failed, statusPath, "failed")...)
	c.errs = append(c.errs, meta.NonNegativeAt(n.Ready, statusPath, "ready")...)
	c.errs = append(c.errs, meta.NonNegativeAt(n.Terminating, statusPath, "terminating")...)
	if n.Ready != nil && *n.Ready > n.Active && (differ(n.Ready, w.Ready) || n.Active != w.Active) {
		c.invalid("ready", *n.Ready, "cannot set more ready pods than active")
	}
}

// uncounted checks the pods that are over and not in the numbers yet.
func (c *statusChange) uncounted() {
	u := c.now.UncountedTerminatedPods
	if u == nil {
		return
	}
	seen := map[types.UID]bool{}
	for _, l := range []struct {
		name string
		uids []types.UID
	}{{"succeeded", u.Succeeded}, {"failed", u.Failed}} {
		at := statusPath.Child("uncountedTerminatedPods", l.name)
		for i, uid := range l.uids {
			if uid == "" {
				c.errs = append(c.errs, field.Invalid(at.Index(i), uid, "must not be empty"))
			} else if seen[uid] {
				c.errs = append(c.errs, field.Duplicate(at.Index(i), uid))
			}
			seen[uid] = true
		}
	}
}

// conditions checks which may be true together, and what must be true before another.
func (c *statusChange) conditions() {
	n := c.now
	refuse := func(text string) { c.invalid("conditions", field.OmitValueType{}, text) }
	complete, failed := holds(n, batchv1.JobComplete), holds(n, batchv1.JobFailed)
	met, target := holds(n, batchv1.JobSuccessCriteriaMet), holds(n, batchv1.JobFailureTarget)
	if complete && failed && (c.completes || c.turns(batchv1.JobFailed)) {
		refuse("cannot set Complete=True and Failed=true conditions")
	}
	if complete && target && (c.completes || c.turns(batchv1.JobFailureTarget)) {
		refuse("cannot set Complete=True and FailureTarget=true conditions")
	}
	if failed && met {
		refuse("cannot set SuccessCriteriaMet=True and Failed=true conditions")
	}
	if target && met {
		refuse("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions")
	}
	if failed && !target && (c.turns(batchv1.JobFailed) || c.turns(batchv1.JobFailureTarget)) {
		refuse("cannot set Failed=True condition without the FailureTarget=true condition")
	}
	if complete && !met && c.job.Spec.SuccessPolicy != nil {
		refuse("cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True")
	}
	if complete && !met && (c.completes || c.turns(batchv1.JobSuccessCriteriaMet)) {
		refuse("cannot set Complete=True condition without the SuccessCriteriaMet=true condition")
	}
}

// times checks when the job started and when it was completed.
func (c *statusChange) times() {
	n, complete := c.now, holds(c.now, batchv1.JobComplete)
	started, ended := !n.StartTime.Equal(c.was.StartTime), !n.CompletionTime.Equal(c.was.CompletionTime)
	if n.CompletionTime != nil && !complete && (c.completes || ended) {
		c.invalid("completionTime", n.CompletionTime, "cannot set completionTime when there is no Complete=True condition")
	}
	if n.CompletionTime == nil && complete && (c.completes || ended) {
		c.errs = append(c.errs, field.Required(statusPath.Child("completionTime"), "completionTime is required for Complete jobs"))
	}
	if n.StartTime != nil && n.CompletionTime != nil && n.CompletionTime.Before(n.StartTime) && (started || ended) {
		c.invalid("completionTime", n.CompletionTime, "must be equal to or after `startTime`")
	}
	s := &c.job.Spec
	suspended := s.Suspend != nil && *s.Suspend
	// A suspended job with nothing to do is complete though it never started.
	idle := suspended && s.Completions != nil && *s.Completions == 0
	if n.StartTime == nil && isFinished(n) && (c.finished || started) && !idle {
		c.errs = append(c.errs, field.Required(statusPath.Child("startTime"), "startTime is required for finished job"))
	}
	if started && c.was.StartTime != nil && !suspended {
		// compat: another time is called a removed one.
		c.errs = append(c.errs, field.Required(statusPath.Child("startTime"), "startTime cannot be removed for unsuspended job"))
	}
}

// indexes checks the texts that tell which indexes are done, and which failed.
func (c *statusChange) indexes() {
	n, s := c.now, &c.job.Spec
	indexed := s.CompletionMode != nil && *s.CompletionMode == batchv1.IndexedCompletion
	completed, failed := n.CompletedIndexes != c.was.CompletedIndexes, differ(n.FailedIndexes, c.was.FailedIndexes)
	if completed && n.CompletedIndexes != "" && !indexed {
		c.invalid("completedIndexes", n.CompletedIndexes, "cannot set non-empty completedIndexes when non-indexed completion mode")
	}
	if failed && n.FailedIndexes != nil && s.BackoffLimitPerIndex == nil {
		c.invalid("failedIndexes", *n.FailedIndexes, "cannot set non-null failedIndexes when backoffLimitPerIndex is null")
	}
	if s.Completions == nil {
		return
	}
	if completed {
		if _, err := countIndexes(n.CompletedIndexes, *s.Completions); err != nil {
			c.invalid("completedIndexes", n.CompletedIndexes, fmt.Sprintf("error parsing completedIndexes: %s", err))
		}
	}
	if n.FailedIndexes == nil {
		return
	}
	if failed && s.BackoffLimitPerIndex != nil {
		if _, err := countIndexes(*n.FailedIndexes, *s.Completions); err != nil {
			c.invalid("failedIndexes", *n.FailedIndexes, fmt.Sprintf("error parsing failedIndexes: %s", err))
		}
	}
	if i, ok := sharedIndex(n.CompletedIndexes, *n.FailedIndexes, *s.Completions); ok && (completed || failed) {
		c.invalid("failedIndexes", *n.FailedIndexes, fmt.Sprintf("failedIndexes and completedIndexes overlap at index: %d", i))
	}
}

// sharedIndex finds the first index that is in both texts. Texts that are none have nothing in common.
func sharedIndex(a, b string, completions int32) (int, bool) {
	for _, text := range []string{a, b} {
		if _, err := countIndexes(text, completions); err != nil || text == "" {
			return 0, false
		}
	}
	x, y := spans(a), spans(b)
	for len(x) > 0 && len(y) > 0 {
		if first := max(x[0][0], y[0][0]); first <= min(x[0][1], y[0][1]) {
			return first, true
		}
		if x[0][1] < y[0][1] {
			x = x[1:]
		} else {
			y = y[1:]
		}
	}
	return 0, false
}

// spans are the first and last indexes of the parts of a text that countIndexes took.
func spans(text string) [][2]int {
	var out [][2]int
	for part := range strings.SplitSeq(text, ",") {
		from, to, ranged := strings.Cut(part, "-")
		if !ranged {
			to = from
		}
		x, _ := strconv.Atoi(from)
		y, _ := strconv.Atoi(to)
		out = append(out, [2]int{x, y})
	}
	return out
}

// finish checks that nothing goes on in a job that is over.
func (c *statusChange) finish() {
	n, w := c.now, c.was
	if !isFinished(n) {
		return
	}
	if n.Active > 0 && (c.finished || n.Active != w.Active) {
		c.invalid("active", n.Active, "active>0 is invalid for finished job")
	}
	if n.Terminating != nil && *n.Terminating > 0 && (c.finished || differ(n.Terminating, w.Terminating)) {
		c.invalid("terminating", *n.Terminating, "terminating>0 is invalid for finished job")
	}
	if u := n.UncountedTerminatedPods; u != nil && len(u.Succeeded)+len(u.Failed) > 0 && (c.finished || !meta.Equal(u, w.UncountedTerminatedPods)) {
		c.invalid("uncountedTerminatedPods", meta.GoNames(u), "must be empty for finished job")
	}
}

// forGood checks what is never taken back.
func (c *statusChange) forGood() {
	n, w, s := c.now, c.was, &c.job.Spec
	refuse := func(text string) { c.invalid("conditions", field.OmitValueType{}, text) }
	for _, t := range []batchv1.JobConditionType{batchv1.JobFailed, batchv1.JobComplete, batchv1.JobFailureTarget} {
		if holds(w, t) && !holds(n, t) {
			refuse(fmt.Sprintf("cannot disable the terminal %s=True condition", t))
		}
	}
	if n.Failed < w.Failed {
		c.invalid("failed", n.Failed, "cannot decrease the failed counter")
	}
	// What is done of an indexed job may be scaled away.
	elastic := s.CompletionMode != nil && *s.CompletionMode == batchv1.IndexedCompletion && !differ(s.Completions, s.Parallelism)
	if n.Succeeded < w.Succeeded && !elastic {
		c.invalid("succeeded", n.Succeeded, "cannot decrease the succeeded counter")
	}
	if n.CompletionTime != nil && w.CompletionTime != nil && !n.CompletionTime.Equal(w.CompletionTime) {
		c.invalid("completionTime", n.CompletionTime, meta.FieldImmutable)
	}
	if had, has := holds(w, batchv1.JobSuccessCriteriaMet), holds(n, batchv1.JobSuccessCriteriaMet); had && !has {
		refuse("cannot disable the SuccessCriteriaMet=True condition")
	} else if has && !had && holds(w, batchv1.JobComplete) {
		refuse("cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions")
	}
}
