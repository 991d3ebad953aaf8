package contents

import "fmt"

// Obstacles describes what prevents a cloud from starting a server from the disk, one sentence
// each: encryption, or an installation medium.
func (i *Info) Obstacles() []string {
	var all []string
	if i.Encrypted {
		all = append(all, "the disk already contains encrypted data, which the cloud cannot start from")
	}
	if f := i.Filesystem; f.Optical() {
		all = append(all, fmt.Sprintf("this is an ISO image (%s), the medium of an installer, and not the disk of a server: install the system on a disk first", f.Type))
	}
	return all
}
