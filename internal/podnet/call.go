package podnet

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"

	"github.com/skiff-k8s/skiff/internal/runtime/cniwire"
)

// config is what we read of the network's configuration.
type config struct {
	CNIVersion    string `json:"cniVersion"`
	RuntimeConfig struct {
		PortMappings []portMapping `json:"portMappings"`
	} `json:"runtimeConfig"`
	// Valid is nil when the caller said nothing, which is not "none".
	Valid *[]attachment `json:"cni.dev/valid-attachments"`
}

// attachment is an interface of a container.
type attachment struct {
	ContainerID string `json:"containerID"`
	IfName      string `json:"ifname"`
}

// versions of CNI whose results have the form that result makes.
var versions = []string{"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}

const codeIncompatibleVersion = 1

// As the CNI specification has them; both become file names or interface names.
var (
	containerIDs = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.\-]{0,200}$`)
	ifNames      = regexp.MustCompile(`^[^/:\s]{1,15}$`)
)

// handle answers a call.
func (a *Agent) handle(req cniwire.Request) cniwire.Reply {
	result, err := a.call(req)
	if err == nil {
		return cniwire.Reply{Result: result}
	}
	a.Log.Error("CNI call failed", "command", req.Command, "container", req.ContainerID, "args", req.Args, "err", err)
	var e *cniwire.Error
	if !errors.As(err, &e) {
		e = &cniwire.Error{Code: cniwire.CodeInternal, Msg: err.Error()}
	}
	return cniwire.Reply{Error: e}
}

func (a *Agent) call(req cniwire.Request) (json.RawMessage, error) {
	var c config
	if err := json.Unmarshal(req.Config, &c); err != nil {
		return nil, &cniwire.Error{Code: cniwire.CodeDecode, Msg: "the configuration cannot be read", Details: err.Error()}
	}
	if c.CNIVersion == "" {
		c.CNIVersion = "1.0.0"
	}
	if !slices.Contains(versions, c.CNIVersion) {
		return nil, &cniwire.Error{Code: codeIncompatibleVersion, Msg: "incompatible CNI version", Details: c.CNIVersion}
	}
	if err := valid(req); err != nil {
		return nil, err
	}
	switch req.Command {
	case "ADD":
		return a.add(req, c)
	case "DEL":
		return nil, a.del(attachment{req.ContainerID, req.IfName})
	case "CHECK":
		return nil, a.check(req)
	case "STATUS":
		return nil, a.status()
	default: // GC
		if c.Valid == nil {
			return nil, &cniwire.Error{Code: cniwire.CodeInvalidConfig, Msg: "GC needs cni.dev/valid-attachments"}
		}
		return nil, a.collect(*c.Valid)
	}
}

func valid(req cniwire.Request) error {
	bad := func(name, value string) error {
		return &cniwire.Error{Code: cniwire.CodeInvalidEnvironment, Msg: "invalid " + name, Details: value}
	}
	switch req.Command {
	case "STATUS", "GC":
		return nil
	case "ADD", "CHECK":
		if req.Netns == "" {
			return bad("CNI_NETNS", req.Netns)
		}
	case "DEL":
	default:
		return bad("CNI_COMMAND", req.Command)
	}
	if !containerIDs.MatchString(req.ContainerID) {
		return bad("CNI_CONTAINERID", req.ContainerID)
	}
	if !ifNames.MatchString(req.IfName) || req.IfName == "." || req.IfName == ".." {
		return bad("CNI_IFNAME", req.IfName)
	}
	return nil
}

// add gives a pod its interface.
func (a *Agent) add(req cniwire.Request, c config) (json.RawMessage, error) {
	at := attachment{req.ContainerID, req.IfName}
	ip, err := a.ipam.take(at)
	if err != nil {
		return nil, &cniwire.Error{Code: cniwire.CodeTryLater, Msg: err.Error()}
	}
	mac, err := a.connect(req, ip)
	if err == nil {
		err = a.openPorts(req.ContainerID, ip, c.RuntimeConfig.PortMappings)
	}
	if err != nil {
		return nil, errors.Join(err, a.del(at))
	}
	return a.result(req, c.CNIVersion, ip, mac)
}

// result is a CNI result of the versions that we speak.
func (a *Agent) result(req cniwire.Request, version string, ip netip.Addr, mac net.HardwareAddr) (json.RawMessage, error) {
	type iface struct {
		Name    string `json:"name"`
		Mac     string `json:"mac,omitempty"`
		Sandbox string `json:"sandbox,omitempty"`
	}
	type address struct {
		Version   string `json:"version,omitempty"` // until 0.4.0
		Interface int    `json:"interface"`
		Address   string `json:"address"`
		Gateway   string `json:"gateway"`
	}
	type route struct {
		Dst string `json:"dst"`
		GW  string `json:"gw"`
	}
	own := address{Interface: 2, Address: netip.PrefixFrom(ip, a.PodCIDR.Bits()).String(), Gateway: a.Gateway().String()}
	if version < "1" {
		own.Version = "4"
	}
	return json.Marshal(struct {
		CNIVersion string    `json:"cniVersion"`
		Interfaces []iface   `json:"interfaces"`
		IPs        []address `json:"ips"`
		Routes     []route   `json:"routes"`
		DNS        struct{}  `json:"dns"`
	}{
		version,
		[]iface{{Name: a.Bridge, Mac: hardwareAddr(a.Gateway()).String()}, {Name: vethName(req.ContainerID, req.IfName)}, {req.IfName, mac.String(), req.Netns}},
		[]address{own}, []route{{"0.0.0.0/0", a.Gateway().String()}}, struct{}{},
	})
}

// del takes the interface, the host ports and the address back. What is gone already is no error.
func (a *Agent) del(at attachment) error {
	if err := deleteLink(vethName(at.ContainerID, at.IfName)); err != nil {
		return fmt.Errorf("remove the pod's interface: %w", err)
	}
	if err := a.setPorts(at.ContainerID, nil); err != nil {
		return err
	}
	return a.ipam.release(at.ContainerID)
}

// collect takes back what containers that are not there any more have left.
func (a *Agent) collect(keep []attachment) error {
	var errs []error
	names := map[string]bool{}
	for _, at := range keep {
		names[vethName(at.ContainerID, at.IfName)] = true
	}
	for _, at := range a.ipam.attachments() {
		if !slices.Contains(keep, at) {
			errs = append(errs, a.del(at))
		}
	}
	ours, err := a.veths()
	if err != nil {
		return err
	}
	for _, name := range ours {
		if !names[name] {
			errs = append(errs, deleteLink(name))
		}
	}
	return errors.Join(errs...)
}
