package sandbox_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/internal/need"
)

// TestTruthSlcli uses slcli, SoftLayer's own command, to import an encrypted image, and to check, order and list servers: over
// XML-RPC, its default, and over REST.
func TestTruthSlcli(t *testing.T) {
	need.Judge(t, "slcli")
	w := ready(t)
	uri := w.upload("web.raw", w.encrypt(luksimg.ClassicLUKS))
	for protocol, endpoint := range map[string]string{"rest": w.Settings.SoftLayer, "xmlrpc": strings.Replace(w.Settings.SoftLayer, "/rest/", "/xmlrpc/", 1)} {
		t.Run(protocol, func(t *testing.T) {
			dir := t.TempDir()
			config := fmt.Sprintf("[softlayer]\nusername = %s\napi_key = %s\nendpoint_url = %s/\ntimeout = 600\n", w.User, w.UserKey, strings.TrimSuffix(endpoint, "/"))
			if protocol == "rest" {
				config = strings.Replace(config, "/rest/v3.1/", "/rest/v3.1", 1)
			}
			if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			slcli := func(into any, args ...string) {
				t.Helper()
				out := need.Run(t, dir, "slcli", append([]string{"-y", "-C", "config", "--format", "json"}, args...)...)
				// An order prints two lists.
				if err := json.NewDecoder(strings.NewReader(out)).Decode(into); err != nil {
					t.Fatalf("slcli %s: %v\n%s", args[:2], err, out)
				}
			}
			var made struct {
				ID   int    `json:"id"`
				GUID string `json:"guid"`
			}
			name := "by-" + protocol
			slcli(&made, "image", "import", name, uri, "--note", "a note", "--os-code", "UBUNTU_22_64", "--ibm-api-key", w.APIKey,
				"--root-key-crn", w.RootKey, "--wrapped-dek", w.wdek, "--cloud-init", "--is-encrypted")
			w.Wait()
			var images []struct {
				ID         int    `json:"id"`
				Visibility string `json:"visibility"`
			}
			if slcli(&images, "image", "list", "--name", name); len(images) != 1 || images[0].ID != made.ID || images[0].Visibility != "PRIVATE" {
				t.Errorf("%+v, want image %d", images, made.ID)
			}
			var detail struct {
				GUID   string `json:"global_identifier"`
				Status string `json:"status"`
				Note   string `json:"note"`
			}
			if slcli(&detail, "image", "detail", name); detail.GUID != made.GUID || detail.Status != "ACTIVE" || detail.Note != "a note" {
				t.Errorf("%+v", detail)
			}
			var options []any
			if slcli(&options, "vs", "create-options"); !strings.Contains(fmt.Sprint(options), "dal13") || !strings.Contains(fmt.Sprint(options), "B1_2X8X100") {
				t.Errorf("%v", options)
			}
			server := []string{"vs", "create", "--hostname", name, "--domain", "example.com", "--cpu", "2", "--memory", "4096", "--datacenter", "dal13", "--image", fmt.Sprint(made.ID), "--san"}
			var costs []struct{ Description string }
			if slcli(&costs, append(server, "--test")...); len(costs) != 3 || !strings.Contains(costs[0].Description, "2 x") {
				t.Errorf("%+v", costs)
			}
			servers := func() (all []struct {
				Hostname string `json:"hostname"`
				IP       string `json:"primary_ip"`
			}) {
				slcli(&all, "vs", "list", "--hostname", name)
				return all
			}
			if all := servers(); len(all) != 0 {
				t.Errorf("--test ordered %+v", all)
			}
			var ordered []struct{ FQDN string }
			if slcli(&ordered, server...); len(ordered) != 1 || ordered[0].FQDN != name+".example.com" {
				t.Errorf("%+v", ordered)
			}
			w.Wait()
			if all := servers(); len(all) != 1 || all[0].IP == "" {
				t.Errorf("%+v", all)
			}
			var items []struct{ Keyname string }
			slcli(&items, "order", "place", "--verify", "--preset", "B1_2X8X100", "--billing", "hourly", "--complex-type", "SoftLayer_Container_Product_Order_Virtual_Guest",
				"--extras", fmt.Sprintf(`{"virtualGuests":[{"hostname":"o","domain":"example.com"}],"imageTemplateId":%d}`, made.ID),
				"PUBLIC_CLOUD_SERVER", "DALLAS13", "BANDWIDTH_0_GB_2", "1_IP_ADDRESS")
			if len(items) != 4 {
				t.Errorf("%+v", items)
			}
		})
	}
}
