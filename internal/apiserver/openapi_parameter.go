package apiserver

import "strings"

// parameter is a parameter of a path or a query as documents describe it.
type parameter struct{ kind, description string }

// parameters are all there are, by name.
var parameters = map[string]parameter{
	"allowWatchBookmarks":          {"boolean", "allowWatchBookmarks requests watch events with type \"BOOKMARK\", which tell how far the watch has come."},
	"command":                      {"string", "Command is the remote command to execute. argv array. Not executed within a shell."},
	"container":                    {"string", "The container for which the request is meant. Defaults to the only container if there is only one container in the pod."},
	"continue":                     {"string", "The continue option should be set when retrieving more results from the server: it is the value that the server gave with the last page."},
	"dryRun":                       {"string", "When present, indicates that modifications should not be persisted. Valid values are: - All: all dry run stages will be processed"},
	"fieldManager":                 {"string", "fieldManager is a name associated with the actor or entity that is making these changes. The value must be less than or 128 characters long, and only contain printable characters."},
	"fieldSelector":                {"string", "A selector to restrict the list of returned objects by their fields. Defaults to everything."},
	"fieldValidation":              {"string", "fieldValidation instructs the server on how to handle objects in the request containing unknown or duplicate fields. Valid values are: - Ignore: drop them silently. - Warn: answer with a warning for each. This is the default. - Strict: refuse the request."},
	"follow":                       {"boolean", "Follow the log stream of the pod. Defaults to false."},
	"force":                        {"boolean", "Force is going to \"force\" Apply requests: conflicting fields of other managers are taken over. It must be unset for non-apply patches."},
	"gracePeriodSeconds":           {"integer", "The duration in seconds before the object should be deleted. Value must be non-negative integer; zero means delete immediately."},
	"insecureSkipTLSVerifyBackend": {"boolean", "insecureSkipTLSVerifyBackend indicates that the API server should not confirm the validity of the serving certificate of the kubelet."},
	"labelSelector":                {"string", "A selector to restrict the list of returned objects by their labels. Defaults to everything."},
	"limit":                        {"integer", "limit is a maximum number of responses to return for a list call. If more items exist, the server sets the continue field of the list's metadata."},
	"limitBytes":                   {"integer", "If set, the number of bytes to read from the server before terminating the log output."},
	"name":                         {"string", "name of the object"},
	"namespace":                    {"string", "object name and auth scope, such as for teams and projects"},
	"orphanDependents":             {"boolean", "Deprecated: please use the PropagationPolicy. Should the dependent objects be orphaned."},
	"path":                         {"string", "Path is the URL path to use for the current proxy request."},
	"ports":                        {"integer", "List of ports to forward. Required when using WebSockets."},
	"pretty":                       {"string", "If 'true', then the output is pretty printed. Defaults to 'false' unless the user-agent indicates a browser or command-line HTTP tool (curl and wget)."},
	"previous":                     {"boolean", "Return previous terminated container logs. Defaults to false."},
	"propagationPolicy":            {"string", "Whether and how garbage collection will be performed: 'Orphan' - orphan the dependents; 'Background' - delete the dependents in the background; 'Foreground' - delete all dependents in the foreground."},
	"resourceVersion":              {"string", "resourceVersion sets a constraint on what resource versions a request may be served from."},
	"resourceVersionMatch":         {"string", "resourceVersionMatch determines how resourceVersion is applied to list calls."},
	"sendInitialEvents":            {"boolean", "`sendInitialEvents=true` may be set together with `watch=true`: the watch begins with synthetic events for the objects that are there, followed by a bookmark."},
	"sinceSeconds":                 {"integer", "A relative time in seconds before the current time from which to show logs."},
	"stderr":                       {"boolean", "Redirect the standard error stream of the pod for this call."},
	"stdin":                        {"boolean", "Redirect the standard input stream of the pod for this call. Defaults to false."},
	"stdout":                       {"boolean", "Redirect the standard output stream of the pod for this call."},
	"stream":                       {"string", "Specify which container log stream to return to the client: \"All\", \"Stdout\" or \"Stderr\"."},
	"tailLines":                    {"integer", "If set, the number of lines from the end of the logs to show."},
	"timeoutSeconds":               {"integer", "Timeout for the list/watch call. This limits the duration of the call, regardless of any activity or inactivity."},
	"timestamps":                   {"boolean", "If true, add an RFC3339 or RFC3339Nano timestamp at the beginning of every line of log output. Defaults to false."},
	"tty":                          {"boolean", "TTY if true indicates that a tty will be allocated for the call. Defaults to false."},
	"watch":                        {"boolean", "Watch for changes to the described resources and return them as a stream of add, update, and remove notifications."},
	"ignoreStoreReadErrorWithClusterBreakingPotential": {"boolean", "if set to true, it will trigger an unsafe deletion of an object that cannot be read from the store. Skiff refuses it."},
}

// pathParameters are the parameters in a path's braces.
func pathParameters(path string) (names []string) {
	for _, n := range []string{"name", "namespace", "path"} {
		if strings.Contains(path, "{"+n+"}") {
			names = append(names, n)
		}
	}
	return names
}
