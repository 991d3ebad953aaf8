// Command packer-plugin-luksimg is a Packer plugin. Its post-processor luksimg encrypts the disk image of a build. It
// can also upload the image, or have a cloud import it.
package main

import (
	"fmt"
	"os"

	"github.com/hashicorp/packer-plugin-sdk/plugin"
	sdkversion "github.com/hashicorp/packer-plugin-sdk/version"

	"github.com/luksimg/luksimg/packer/luksimg"
)

// version and prerelease are set by the linker in a release.
var version, prerelease = "0.1.0", "dev"

func main() {
	set := plugin.NewSet()
	set.RegisterPostProcessor(plugin.DEFAULT_NAME, new(luksimg.PostProcessor))
	set.SetVersion(sdkversion.NewPluginVersion(version, prerelease, ""))
	if err := set.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
