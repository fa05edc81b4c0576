package plugins

import "github.com/skiff-k8s/skiff/internal/scheduler/snapshot"

// Between these sizes of images that are there already the score rises.
const (
	minImages         = 23 << 20
	maxImagePerMember = 1000 << 20
)

// scoreImages likes nodes that have the pod's images. An image that few nodes have
// counts less, so that not all pods run to the same node.
func scoreImages(c *Cycle, nodes []*snapshot.Node, out []int64) bool {
	var few [8]*snapshot.Image
	images := few[:0]
	for _, name := range c.Want.Images {
		if im := c.S.Image(name); im != nil {
			images = append(images, im)
		}
	}
	if len(images) == 0 {
		return false
	}
	total := float64(c.S.Len())
	top := int64(maxImagePerMember) * int64(len(c.Want.Images))
	for i, n := range nodes {
		var sum int64
		for _, im := range images {
			if im.On(n.Slot) {
				sum += int64(float64(im.Size) * (float64(im.Nodes) / total))
			}
		}
		sum = min(max(sum, minImages), top)
		out[i] = MaxScore * (sum - minImages) / (top - minImages)
	}
	return true
}
