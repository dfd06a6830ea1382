package deploy

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// kustomization is what this package reads of a kustomization.
type kustomization struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Namespace  string           `json:"namespace"`
	Labels     []map[string]any `json:"labels"`
	Resources  []string         `json:"resources"`
	Images     []map[string]any `json:"images"`
}

// manifests are all objects, by kind.
type manifests map[string][]any

// readManifests decodes all objects as the API server does with strict validation of fields.
func readManifests(t *testing.T) manifests {
	t.Helper()
	files, err := filepath.Glob("kubernetes/*.yaml")
	if err != nil || len(files) < 8 {
		t.Fatalf("%v: %v", files, err)
	}
	all := manifests{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range bytes.Split(text, []byte("\n---\n")) {
			kind, object, err := decode(document)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			all[kind] = append(all[kind], object)
		}
	}
	return all
}

// decode reads one object. A field that its kind does not have, or that is there twice, is an error.
func decode(document []byte) (kind string, object any, err error) {
	var of struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(document, &of); err != nil {
		return "", nil, err
	}
	object, known := map[string]any{"v1 Namespace": &core.Namespace{}, "v1 ConfigMap": &core.ConfigMap{},
		"v1 Service": &core.Service{}, "v1 Secret": &core.Secret{}, "apps/v1 StatefulSet": &apps.StatefulSet{},
		"policy/v1 PodDisruptionBudget":                 &policy.PodDisruptionBudget{},
		"networking.k8s.io/v1 NetworkPolicy":            &networking.NetworkPolicy{},
		"kustomize.config.k8s.io/v1beta1 Kustomization": &kustomization{}}[of.APIVersion+" "+of.Kind]
	if !known {
		return "", nil, fmt.Errorf("%s %s is no kind that is known here", of.APIVersion, of.Kind)
	}
	return of.Kind, object, yaml.UnmarshalStrict(document, object, yaml.DisallowUnknownFields)
}

// only returns the one object of a kind.
func only[T any](t *testing.T, all manifests, kind string) *T {
	t.Helper()
	if len(all[kind]) != 1 {
		t.Fatalf("there are %d of kind %s", len(all[kind]), kind)
	}
	return all[kind][0].(*T)
}

func TestAFieldThatAKindDoesNotHaveIsFound(t *testing.T) {
	for _, wrong := range []string{"apiVersion: v1\nkind: Service\nspec: {port: [1]}", "apiVersion: v2\nkind: Service",
		"apiVersion: v1\nkind: Service\nkind: Service", "apiVersion: v1\nkind: Service\nspec: {ports: [{port: x}]}"} {
		if _, _, err := decode([]byte(wrong)); err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
}

func TestThePartsOfTheManifestsFitTogether(t *testing.T) {
	all := readManifests(t)
	set := only[apps.StatefulSet](t, all, "StatefulSet")
	pod := &set.Spec.Template
	matches := func(about string, selector map[string]string) {
		for key, value := range selector {
			if pod.Labels[key] != value {
				t.Errorf("%s selects %s=%s, which no pod has", about, key, value)
			}
		}
		if len(selector) == 0 {
			t.Errorf("%s selects everything", about)
		}
	}
	ports := portsOf(&pod.Spec.Containers[0])
	matches("the set", set.Spec.Selector.MatchLabels)
	matches("the budget", only[policy.PodDisruptionBudget](t, all, "PodDisruptionBudget").Spec.Selector.MatchLabels)
	network := only[networking.NetworkPolicy](t, all, "NetworkPolicy")
	matches("the network policy", network.Spec.PodSelector.MatchLabels)
	for _, rule := range network.Spec.Ingress {
		for _, p := range rule.Ports {
			if ports[p.Port.String()] == 0 {
				t.Errorf("the network policy names port %v", p.Port)
			}
		}
	}
	governs := false
	for _, object := range all["Service"] {
		service := object.(*core.Service)
		matches(service.Name, service.Spec.Selector)
		governs = governs || service.Name == set.Spec.ServiceName && service.Spec.ClusterIP == core.ClusterIPNone
		for _, p := range service.Spec.Ports {
			if ports[p.TargetPort.String()] != p.Port {
				t.Errorf("%s: port %d goes to %v", service.Name, p.Port, p.TargetPort)
			}
		}
	}
	if !governs {
		t.Errorf("no headless service is named %q", set.Spec.ServiceName)
	}
	list := only[kustomization](t, all, "Kustomization").Resources
	for kind, file := range map[string]string{"StatefulSet": "statefulset.yaml", "Service": "service.yaml",
		"PodDisruptionBudget": "disruptionbudget.yaml", "NetworkPolicy": "networkpolicy.yaml", "ConfigMap": "configmap.yaml",
		"Namespace": "namespace.yaml"} {
		if !slices.Contains(list, file) {
			t.Errorf("kustomization.yaml leaves %s out, which has the %s", file, kind)
		}
	}
}

func portsOf(c *core.Container) map[string]int32 {
	ports := map[string]int32{}
	for _, p := range c.Ports {
		ports[p.Name] = p.ContainerPort
	}
	return ports
}

func TestThePodRunsTheProgramAsItIs(t *testing.T) {
	all := readManifests(t)
	pod := &only[apps.StatefulSet](t, all, "StatefulSet").Spec.Template.Spec
	c, ports := &pod.Containers[0], portsOf(&pod.Containers[0])
	for about, probe := range map[string]*core.Probe{"startup": c.StartupProbe, "readiness": c.ReadinessProbe,
		"liveness": c.LivenessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Port != intstr.FromString("https") ||
			probe.HTTPGet.Scheme != core.URISchemeHTTPS {
			t.Errorf("%s: %v", about, probe)
		}
	}
	text := only[core.ConfigMap](t, all, "ConfigMap").Data["hexbid.yaml"]
	var config struct {
		Listen string `json:"listen"`
		HTTP   string `json:"http-listen"`
		Cert   string `json:"tls-cert"`
		Memory int64  `json:"memory-mb"`
		Drain  string `json:"drain-timeout"`
	}
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	grpc, https := fmt.Sprintf("0.0.0.0:%d", ports["grpc"]), fmt.Sprintf("0.0.0.0:%d", ports["https"])
	if config.Listen != grpc || config.HTTP != https {
		t.Errorf("the program listens on %s and %s, the pod has %v", config.Listen, config.HTTP, ports)
	}
	if limit := c.Resources.Limits.Memory().Value() >> 20; config.Memory > limit*2/3 {
		t.Errorf("memory-mb is %d of a limit of %d MiB: leave a third to caches and calls", config.Memory, limit)
	}
	const closing = 45 * time.Second
	drain, err := time.ParseDuration(config.Drain)
	if grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; err != nil || grace < drain+closing {
		t.Errorf("a stop may take %v, the pod is given %v", drain+closing, grace)
	}
	// The program itself reads the settings, up to the certificate, which is not there.
	file := filepath.Join(t.TempDir(), "hexbid.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := slices.Clone(c.Args)
	args[slices.Index(args, "/etc/hexbid/hexbid.yaml")], args[slices.Index(args, "/var/lib/hexbid")] = file, t.TempDir()
	out, err := exec.Command(build(t), append(args, elsewhere...)...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), config.Cert) || !strings.Contains(string(out), "tls-cert") {
		t.Errorf("%v: %s", err, out)
	}
}
