package engines

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	strict "sigs.k8s.io/yaml"
)

const manifests = "../../examples/kubernetes/"

// documents returns the documents of a YAML file.
func documents(t *testing.T, name string) (docs [][]byte) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(manifests, name))
	if err != nil {
		t.Fatal(err)
	}
	for r := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(b))); ; {
		doc := make([]byte, len(b))
		n, err := r.Read(doc)
		if err == io.EOF {
			return docs
		}
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, doc[:n])
	}
}

// decode decodes an object of the API. An unknown member is an error.
func decode[T any](t *testing.T, doc []byte, version, kind string) *T {
	t.Helper()
	var head struct{ APIVersion, Kind string }
	if err := strict.Unmarshal(doc, &head); err != nil {
		t.Fatal(err)
	}
	if head.APIVersion != version || head.Kind != kind {
		t.Fatalf("%s %s, not %s %s:\n%s", head.APIVersion, head.Kind, version, kind, doc)
	}
	o := new(T)
	if err := strict.UnmarshalStrict(doc, o); err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	return o
}

// job reads the only Job of a file, and checks that it has one container and no needless rights.
func job(t *testing.T, name string) (*batch.Job, *core.Container) {
	t.Helper()
	docs := documents(t, name)
	if len(docs) != 1 {
		t.Fatalf("%d documents", len(docs))
	}
	j := decode[batch.Job](t, docs[0], "batch/v1", "Job")
	pod := &j.Spec.Template.Spec
	if len(pod.Containers) != 1 || pod.RestartPolicy != core.RestartPolicyNever || j.Spec.PodFailurePolicy == nil {
		t.Errorf("%s: %d containers, restart %s", name, len(pod.Containers), pod.RestartPolicy)
	}
	c := &pod.Containers[0]
	if s := c.SecurityContext; s == nil || !*s.RunAsNonRoot || !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) ||
		pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Errorf("%s: more rights than it needs: %+v", name, s)
	}
	return j, c
}

// secrets returns the names of the Secrets that a Job uses.
func secrets(j *batch.Job) (names []string) {
	for _, v := range j.Spec.Template.Spec.Volumes {
		if v.Secret != nil {
			names = append(names, v.Secret.SecretName)
		}
	}
	for _, e := range j.Spec.Template.Spec.Containers[0].EnvFrom {
		names = append(names, e.SecretRef.Name)
	}
	return names
}

// mounts returns the folders in the container and the names of their volumes. Each volume must exist.
func mounts(t *testing.T, j *batch.Job) map[string]string {
	t.Helper()
	m := map[string]string{}
	for _, v := range j.Spec.Template.Spec.Containers[0].VolumeMounts {
		if !v.ReadOnly || !slices.ContainsFunc(j.Spec.Template.Spec.Volumes, func(o core.Volume) bool { return o.Name == v.Name }) {
			t.Errorf("%s: no readable volume for %s", j.Name, v.MountPath)
		}
		m[v.MountPath] = v.Name
	}
	return m
}

// action returns what Kubernetes does with a pod of a Job that ends with an exit code: the first
// matching rule decides. disrupted means that the node or the scheduler ended the pod.
func action(j *batch.Job, code int32, disrupted bool) batch.PodFailurePolicyAction {
	for _, r := range j.Spec.PodFailurePolicy.Rules {
		if e := r.OnExitCodes; e != nil && slices.Contains(e.Values, code) == (e.Operator == batch.PodFailurePolicyOnExitCodesOpIn) {
			return r.Action
		}
		if disrupted && slices.ContainsFunc(r.OnPodConditions, func(p batch.PodFailurePolicyOnPodConditionsPattern) bool { return p.Type == core.DisruptionTarget }) {
			return r.Action
		}
	}
	return batch.PodFailurePolicyActionCount
}

func TestKubernetes(t *testing.T) {
	made := map[string]*core.Secret{}
	for _, doc := range documents(t, "secret.yaml") {
		s := decode[core.Secret](t, doc, "v1", "Secret")
		made[s.Name] = s
	}
	shards, run := job(t, "shards.yaml")
	finish, end := job(t, "finish.yaml")
	if got := secrets(shards); !slices.Equal(got, []string{"luksimg-key", "luksimg-cloud"}) || made[got[0]] == nil || made[got[1]] == nil {
		t.Errorf("Secrets of the shards: %q", got)
	}
	if got := secrets(finish); !slices.Equal(got, []string{"luksimg-cloud"}) {
		t.Errorf("Secrets of the finishing Job: %q", got)
	}
	if _, ok := made["luksimg-key"].StringData["passphrase"]; !ok {
		t.Error("the key has the wrong name in its Secret")
	}
	s := shards.Spec
	if *s.CompletionMode != batch.IndexedCompletion || *s.Completions != 4 || *s.Parallelism > *s.Completions || *s.BackoffLimitPerIndex < 1 {
		t.Errorf("the shards: %+v", s)
	}
	for _, w := range []struct {
		job  *batch.Job
		code int32
		want batch.PodFailurePolicyAction
	}{
		{shards, 1, batch.PodFailurePolicyActionCount}, {shards, 4, batch.PodFailurePolicyActionFailJob}, {shards, 5, batch.PodFailurePolicyActionCount},
		{shards, 12, batch.PodFailurePolicyActionFailJob}, {shards, 137, batch.PodFailurePolicyActionCount},
		{finish, 1, batch.PodFailurePolicyActionCount}, {finish, 3, batch.PodFailurePolicyActionFailJob}, {finish, 4, batch.PodFailurePolicyActionFailJob},
		{finish, 5, batch.PodFailurePolicyActionIgnore}, {finish, 137, batch.PodFailurePolicyActionCount},
	} {
		if got := action(w.job, w.code, false); got != w.want {
			t.Errorf("%s: exit code %d: %s, want %s", w.job.Name, w.code, got, w.want)
		}
	}
	for _, j := range []*batch.Job{shards, finish} {
		if got := action(j, 137, true); got != batch.PodFailurePolicyActionIgnore {
			t.Errorf("%s: action for a disrupted pod: %s", j.Name, got)
		}
	}
	// The finishing Job retries while shards are missing. If a shard fails for good, it must stop at
	// some time.
	if d := finish.Spec.ActiveDeadlineSeconds; d == nil || *d < 3600 {
		t.Errorf("deadline of the finishing Job: %v", d)
	}
	newCluster(t).array(example{run.Args, end.Args, []string{"--passphrase-file", "key/passphrase"}, mounts(t, shards), variable("JOB_COMPLETION_INDEX")})
}
