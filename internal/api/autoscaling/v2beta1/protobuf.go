package v2beta1

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
)

func (o *HorizontalPodAutoscaler) Size() int { return sizeOf(o) }
func (o *HorizontalPodAutoscaler) MarshalToSizedBuffer(b []byte) (int, error) {
	return sized(o, b)
}

func (o *HorizontalPodAutoscaler) append(b []byte) ([]byte, error) {
	b, err := appendMarshaled(b, 1, &o.ObjectMeta)
	if err != nil {
		return nil, err
	}
	if b, err = appendMessage(b, 2, &o.Spec); err != nil {
		return nil, err
	}
	return appendMessage(b, 3, &o.Status)
}

// Unmarshal adds what a message says to what the autoscaler has: of what is there more than once, the last counts.
func (o *HorizontalPodAutoscaler) Unmarshal(b []byte) error {
	return eachField(b, func(n protowire.Number, content, _ []byte) error {
		switch {
		case n < 1 || n > 3:
			return nil
		case content == nil:
			return notAMessage(n, "HorizontalPodAutoscaler")
		case n == 1:
			return o.ObjectMeta.Unmarshal(content)
		case n == 2:
			return o.Spec.unmarshal(content)
		}
		return o.Status.unmarshal(content)
	})
}

func notAMessage(n protowire.Number, of string) error {
	return fmt.Errorf("proto: field %d of %s is no message", n, of)
}

// v1 is the part of a spec that autoscaling/v1 has under the same numbers.
func (s *HorizontalPodAutoscalerSpec) v1() *autoscalingv1.HorizontalPodAutoscalerSpec {
	return &autoscalingv1.HorizontalPodAutoscalerSpec{ScaleTargetRef: autoscalingv1.CrossVersionObjectReference(s.ScaleTargetRef), MinReplicas: s.MinReplicas, MaxReplicas: s.MaxReplicas}
}

func (s *HorizontalPodAutoscalerSpec) append(b []byte) ([]byte, error) {
	first, err := s.v1().Marshal()
	if err != nil {
		return nil, err
	}
	b = append(b, first...)
	for i := range s.Metrics {
		inner, err := s.Metrics[i].Marshal()
		if err != nil {
			return nil, err
		}
		if inner, err = moveContainer(inner, containerInV1, containerHere); err != nil {
			return nil, err
		}
		b = appendBytes(b, specMetrics, inner)
	}
	return b, nil
}

func (s *HorizontalPodAutoscalerSpec) unmarshal(b []byte) error {
	rest, err := without(b, "HorizontalPodAutoscalerSpec", map[protowire.Number]func([]byte) error{specMetrics: func(content []byte) error {
		moved, err := moveContainer(content, containerHere, containerInV1)
		if err != nil {
			return err
		}
		var m autoscalingv1.MetricSpec
		err = m.Unmarshal(moved)
		s.Metrics = append(s.Metrics, m)
		return err
	}})
	if err != nil {
		return err
	}
	v := s.v1()
	err = v.Unmarshal(rest)
	s.ScaleTargetRef, s.MinReplicas, s.MaxReplicas = CrossVersionObjectReference(v.ScaleTargetRef), v.MinReplicas, v.MaxReplicas
	return err
}

// v1 is the part of a status that autoscaling/v1 has under the same numbers.
func (s *HorizontalPodAutoscalerStatus) v1() *autoscalingv1.HorizontalPodAutoscalerStatus {
	return &autoscalingv1.HorizontalPodAutoscalerStatus{ObservedGeneration: s.ObservedGeneration, LastScaleTime: s.LastScaleTime,
		CurrentReplicas: s.CurrentReplicas, DesiredReplicas: s.DesiredReplicas}
}

func (s *HorizontalPodAutoscalerStatus) append(b []byte) ([]byte, error) {
	first, err := s.v1().Marshal()
	if err != nil {
		return nil, err
	}
	b = append(b, first...)
	for i := range s.CurrentMetrics {
		if b, err = appendMarshaled(b, statusMetrics, &s.CurrentMetrics[i]); err != nil {
			return nil, err
		}
	}
	for i := range s.Conditions {
		if b, err = appendMarshaled(b, statusConditions, &s.Conditions[i]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (s *HorizontalPodAutoscalerStatus) unmarshal(b []byte) error {
	rest, err := without(b, "HorizontalPodAutoscalerStatus", map[protowire.Number]func([]byte) error{
		statusMetrics: func(content []byte) error {
			var m autoscalingv1.MetricStatus
			err := m.Unmarshal(content)
			s.CurrentMetrics = append(s.CurrentMetrics, m)
			return err
		},
		statusConditions: func(content []byte) error {
			var c autoscalingv1.HorizontalPodAutoscalerCondition
			err := c.Unmarshal(content)
			s.Conditions = append(s.Conditions, c)
			return err
		}})
	if err != nil {
		return err
	}
	v := s.v1()
	err = v.Unmarshal(rest)
	s.ObservedGeneration, s.LastScaleTime, s.CurrentReplicas, s.DesiredReplicas = v.ObservedGeneration, v.LastScaleTime, v.CurrentReplicas, v.DesiredReplicas
	return err
}

// without hands the fields that read names over, and returns the others.
func without(b []byte, of string, read map[protowire.Number]func([]byte) error) ([]byte, error) {
	rest := make([]byte, 0, len(b))
	err := eachField(b, func(n protowire.Number, content, whole []byte) error {
		f := read[n]
		switch {
		case f == nil:
			rest = append(rest, whole...)
			return nil
		case content == nil:
			return notAMessage(n, of)
		}
		return f(content)
	})
	return rest, err
}

func (l *HorizontalPodAutoscalerList) Size() int { return sizeOf(l) }
func (l *HorizontalPodAutoscalerList) MarshalToSizedBuffer(b []byte) (int, error) {
	return sized(l, b)
}

func (l *HorizontalPodAutoscalerList) append(b []byte) ([]byte, error) {
	b, err := appendMarshaled(b, 1, &l.ListMeta)
	for i := range l.Items {
		if err != nil {
			return nil, err
		}
		b, err = appendMessage(b, 2, &l.Items[i])
	}
	return b, err
}

func (l *HorizontalPodAutoscalerList) Unmarshal(b []byte) error {
	return eachField(b, func(n protowire.Number, content, _ []byte) error {
		switch {
		case n != 1 && n != 2:
			return nil
		case content == nil:
			return notAMessage(n, "HorizontalPodAutoscalerList")
		case n == 1:
			return l.ListMeta.Unmarshal(content)
		}
		l.Items = append(l.Items, HorizontalPodAutoscaler{})
		return l.Items[len(l.Items)-1].Unmarshal(content)
	})
}
