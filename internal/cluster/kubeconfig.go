package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api/v1"
	"sigs.k8s.io/yaml"
)

// contextName is the name of cluster, user and context in kubeconfigs.
const contextName = "skiff"

// clientAddress is where clients on this host reach the API: the node's address,
// unless the server listens elsewhere only.
func (c *Config) clientAddress() string {
	host := c.NodeIP
	if ip := net.ParseIP(c.BindAddress); ip != nil && !ip.IsUnspecified() {
		host = c.BindAddress
	}
	return net.JoinHostPort(host, strconv.Itoa(c.SecurePort))
}

func (c *Config) kubeconfig(p *pki) *clientcmdapi.Config {
	return &clientcmdapi.Config{
		APIVersion: "v1", Kind: "Config", CurrentContext: contextName,
		Clusters: []clientcmdapi.NamedCluster{{Name: contextName, Cluster: clientcmdapi.Cluster{
			Server: "https://" + c.clientAddress(), CertificateAuthorityData: p.caPEM}}},
		AuthInfos: []clientcmdapi.NamedAuthInfo{{Name: contextName, AuthInfo: clientcmdapi.AuthInfo{
			ClientCertificateData: p.adminCert, ClientKeyData: p.adminKey}}},
		Contexts: []clientcmdapi.NamedContext{{Name: contextName, Context: clientcmdapi.Context{Cluster: contextName, AuthInfo: contextName}}},
	}
}

func (c *Config) writeKubeconfig(p *pki) error {
	b, err := yaml.Marshal(c.kubeconfig(p))
	if err != nil {
		return err
	}
	return writeFile(c.AdminKubeconfig(), b, 0o600)
}

// userKubeconfig is where kubectl looks when nobody tells it otherwise.
func userKubeconfig() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".kube", "config"), nil
}

// MergeKubeconfig puts the context "skiff" into the user's kubeconfig. Everything
// else in it stays; the current context changes only if there is none.
func (c *Config) MergeKubeconfig() (file string, err error) {
	b, err := os.ReadFile(c.AdminKubeconfig())
	if err != nil {
		return "", err
	}
	var ours clientcmdapi.Config
	if err := yaml.Unmarshal(b, &ours); err != nil {
		return "", err
	}
	return editKubeconfig(func(k *clientcmdapi.Config) bool {
		dropContext(k)
		k.Clusters = append(k.Clusters, ours.Clusters...)
		k.AuthInfos = append(k.AuthInfos, ours.AuthInfos...)
		k.Contexts = append(k.Contexts, ours.Contexts...)
		if k.CurrentContext == "" {
			k.CurrentContext = contextName
		}
		return true
	})
}

// UnmergeKubeconfig takes the context out again, if it is the one of this instance.
func (c *Config) UnmergeKubeconfig() error {
	_, err := editKubeconfig(func(k *clientcmdapi.Config) bool {
		server := "https://" + c.clientAddress()
		mine := slices.ContainsFunc(k.Clusters, func(n clientcmdapi.NamedCluster) bool {
			return n.Name == contextName && n.Cluster.Server == server
		})
		if !mine {
			return false
		}
		dropContext(k)
		if k.CurrentContext == contextName {
			k.CurrentContext = ""
		}
		return true
	})
	return err
}

func dropContext(k *clientcmdapi.Config) {
	k.Clusters = slices.DeleteFunc(k.Clusters, func(n clientcmdapi.NamedCluster) bool { return n.Name == contextName })
	k.AuthInfos = slices.DeleteFunc(k.AuthInfos, func(n clientcmdapi.NamedAuthInfo) bool { return n.Name == contextName })
	k.Contexts = slices.DeleteFunc(k.Contexts, func(n clientcmdapi.NamedContext) bool { return n.Name == contextName })
}

func editKubeconfig(edit func(*clientcmdapi.Config) bool) (string, error) {
	file, err := userKubeconfig()
	if err != nil {
		return "", err
	}
	k := &clientcmdapi.Config{APIVersion: "v1", Kind: "Config"}
	mode := fs.FileMode(0o600)
	b, err := os.ReadFile(file)
	switch {
	case err == nil:
		if err := yaml.Unmarshal(b, k); err != nil {
			return "", fmt.Errorf("%s is not a kubeconfig, it was left alone: %w", file, err)
		}
		if st, err := os.Stat(file); err == nil {
			mode = st.Mode().Perm()
		}
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	if !edit(k) {
		return file, nil
	}
	if len(k.Contexts)+len(k.Clusters)+len(k.AuthInfos) == 0 && b != nil && len(k.Extensions) == 0 {
		return file, os.Remove(file)
	}
	out, err := yaml.Marshal(k)
	if err != nil {
		return "", err
	}
	// kubectl takes this lock too while it writes.
	lock := file + ".lock"
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return "", err
	}
	l, err := os.OpenFile(lock, os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("somebody else is changing %s: %w", file, err)
	}
	defer os.Remove(lock)
	defer l.Close()
	return file, writeFile(file, out, mode)
}
