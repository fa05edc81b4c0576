package v2beta1

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// What k8s.io/api has messages for (metadata, metrics, conditions, and of spec and status the part
// that autoscaling/v1 has too) reads and writes itself; the messages around them are put
// together and taken apart here.
//
// The numbers of fields are those of Kubernetes: metadata, spec and status are 1, 2 and 3
// of an autoscaler, metadata and items 1 and 2 of a list. The source of a container resource
// metric has its container as field 4 here, as field 5 in autoscaling/v1; what is measured of one has it as 4 in both.
const (
	specMetrics       = 4
	statusMetrics     = 5
	statusConditions  = 6
	metricOfContainer = 7
	containerHere     = 4
	containerInV1     = 5
)

// marshaler is a message of k8s.io/api.
type marshaler interface{ Marshal() ([]byte, error) }

// message is one of ours: it appends its fields.
type message interface {
	append(b []byte) ([]byte, error)
}

func appendMessage(b []byte, n protowire.Number, m message) ([]byte, error) {
	inner, err := m.append(nil)
	return appendBytes(b, n, inner), err
}

func appendMarshaled(b []byte, n protowire.Number, m marshaler) ([]byte, error) {
	inner, err := m.Marshal()
	return appendBytes(b, n, inner), err
}

func appendBytes(b []byte, n protowire.Number, inner []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), inner)
}

// sized writes a message into the end of a buffer, as generated code does.
func sized(m message, into []byte) (int, error) {
	b, err := m.append(nil)
	if err != nil {
		return 0, err
	}
	return copy(into[len(into)-len(b):], b), nil
}

func sizeOf(m message) int {
	b, _ := m.append(nil) // what is wrong is said when it is written
	return len(b)
}

// eachField calls f with every field of a message: with its content where that is bytes, and nil otherwise, and
// with the whole of it.
func eachField(b []byte, f func(n protowire.Number, content, whole []byte) error) error {
	for len(b) > 0 {
		n, t, size := protowire.ConsumeField(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		var content []byte
		if t == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(b)
			content, _ = protowire.ConsumeBytes(b[tag:])
		}
		if err := f(n, content, b[:size:size]); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

// moveContainer gives the container of a container resource metric's source another number. What has
// that number already has no meaning there.
func moveContainer(metric []byte, from, to protowire.Number) ([]byte, error) {
	out := make([]byte, 0, len(metric))
	err := eachField(metric, func(n protowire.Number, content, whole []byte) error {
		if n != metricOfContainer || content == nil {
			out = append(out, whole...)
			return nil
		}
		inner := make([]byte, 0, len(content))
		err := eachField(content, func(n protowire.Number, content, whole []byte) error {
			switch {
			case n == to:
			case n == from && content != nil:
				inner = appendBytes(inner, to, content)
			default:
				inner = append(inner, whole...)
			}
			return nil
		})
		out = appendBytes(out, metricOfContainer, inner)
		return err
	})
	return out, err
}
