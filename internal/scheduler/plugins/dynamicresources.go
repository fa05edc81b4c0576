package plugins

var errClaims = rejectForGood(DynamicResources, "pod uses resource claims, which this scheduler does not allocate")

func preFilterClaims(c *Cycle) (bool, *Status) {
	if len(c.Pod.Obj.Spec.ResourceClaims) > 0 {
		return false, errClaims
	}
	return false, nil
}
