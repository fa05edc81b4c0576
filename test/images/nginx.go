package main

import (
	"bytes"
	"fmt"
	"maps"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// nginx is Debian's nginx laid out as the well-known image is: pages in
// /usr/share/nginx/html, servers in /etc/nginx/conf.d, logs on standard output and error. There
// are three versions of it, which differ in what they say they are.
func nginx(w *workshop) ([]image, error) {
	base, err := nginxBase(w)
	if err != nil {
		return nil, err
	}
	tools, err := toolboxTree(w)
	if err != nil {
		return nil, err
	}
	server, program, err := nginxServer(w)
	if err != nil {
		return nil, err
	}
	var images []image
	for _, v := range []struct{ tag, version string }{{"1.7.9", "1.7.9"}, {"1.14", "1.14.2"}, {"latest", "1.27.5"}} {
		layer, err := nginxVersion(program, v.version)
		if err != nil {
			return nil, err
		}
		images = append(images, image{
			tags:   []string{"docker.io/library/nginx:" + v.tag},
			layers: []*tree{base, tools, server, layer},
			config: v1.Config{
				Cmd: []string{"nginx", "-g", "daemon off;"}, Env: []string{"NGINX_VERSION=" + v.version},
				ExposedPorts: map[string]struct{}{"80/tcp": {}}, StopSignal: "SIGQUIT",
			},
		})
	}
	return images, nil
}

// nginxBase is bash, busybox for the other commands, and the libraries.
func nginxBase(w *workshop) (*tree, error) {
	t, err := busyboxTree(w)
	if err != nil {
		return nil, err
	}
	debian := newTree()
	if err := w.debian(debian, "libc6", "libtinfo6", "libcrypt1", "libpcre2-8-0", "libssl3", "zlib1g", "bash"); err != nil {
		return nil, err
	}
	maps.Copy(t.entries, debian.entries)
	t.link("/bin/sh", "bash")
	t.text("/etc/passwd", string(t.entries["/etc/passwd"].data)+"nginx:x:101:101:nginx:/nonexistent:/bin/false\n")
	t.text("/etc/group", string(t.entries["/etc/group"].data)+"nginx:x:101:\n")
	return t, nil
}

// nginxServer is nginx without its program, which the versions differ in.
func nginxServer(w *workshop) (t *tree, program []byte, err error) {
	t = newTree()
	if err := w.debian(t, "nginx", "nginx-common", "libnginx-mod-http-headers-more-filter"); err != nil {
		return nil, nil, err
	}
	if program = t.take("/usr/sbin/nginx"); len(program) == 0 {
		return nil, nil, fmt.Errorf("the package nginx has no /usr/sbin/nginx")
	}
	for name := range t.entries {
		for _, dir := range []string{"/etc/nginx/sites-", "/etc/nginx/modules-", "/etc/nginx/snippets", "/usr/share/nginx/modules-available", "/var/www", "/etc/default", "/usr/share/apport"} {
			if strings.HasPrefix(name, dir) {
				delete(t.entries, name)
			}
		}
	}
	t.text("/etc/nginx/conf.d/default.conf", `server {
    listen       80;
    server_name  localhost;

    location / {
        root   /usr/share/nginx/html;
        index  index.html index.htm;
    }

    error_page   500 502 503 504  /50x.html;
    location = /50x.html {
        root   /usr/share/nginx/html;
    }
}
`)
	t.text("/usr/share/nginx/html/index.html", page("Welcome to nginx!", "If you see this page, the nginx web server is successfully installed and working."))
	t.text("/usr/share/nginx/html/50x.html", page("An error occurred.", "Sorry, the page you are looking for is currently unavailable."))
	t.dir("/var/log/nginx", 0o755)
	t.link("/var/log/nginx/access.log", "/dev/stdout")
	t.link("/var/log/nginx/error.log", "/dev/stderr")
	t.dir("/var/cache/nginx", 0o755)
	t.dir("/var/lib/nginx", 0o755)
	t.own("/var/cache/nginx", 101)
	t.own("/var/lib/nginx", 101)
	t.dir("/run", 0o755)
	t.link("/var/run", "/run")
	t.link("/usr/bin/curl", "/bin/toolbox")
	return t, program, nil
}

func page(title, text string) string {
	return fmt.Sprintf(`<!DOCTYPE html>
<html>
<head>
<title>%[1]s</title>
</head>
<body>
<h1>%[1]s</h1>
<p>%[2]s</p>
</body>
</html>
`, title, text)
}

// nginxVersion makes nginx say that it has another version: in the program in
// place, where it must have the same length, so that a shorter one is filled up with a blank;
// and in the configuration, which gives the header Server exactly.
func nginxVersion(program []byte, version string) (*tree, error) {
	mark := []byte("nginx/1.22.1")
	says := fmt.Appendf(nil, "%-*s", len(mark), "nginx/"+version)
	if len(says) != len(mark) || !bytes.Contains(program, mark) {
		return nil, fmt.Errorf("%q cannot stand in for %q", says, mark)
	}
	t := newTree()
	t.file("/usr/sbin/nginx", bytes.ReplaceAll(program, mark, says), 0o755)
	t.text("/etc/nginx/nginx.conf", fmt.Sprintf(`user  nginx;
worker_processes  1;

load_module modules/ngx_http_headers_more_filter_module.so;

error_log  /var/log/nginx/error.log notice;
pid        /run/nginx.pid;

events {
    worker_connections  1024;
}

http {
    include       /etc/nginx/mime.types;
    default_type  application/octet-stream;

    log_format  main  '$remote_addr - $remote_user [$time_local] "$request" '
                      '$status $body_bytes_sent "$http_referer" '
                      '"$http_user_agent" "$http_x_forwarded_for"';
    access_log  /var/log/nginx/access.log  main;
    more_set_headers 'Server: nginx/%s';

    sendfile           on;
    keepalive_timeout  65;

    include /etc/nginx/conf.d/*.conf;
}
`, version))
	return t, nil
}
