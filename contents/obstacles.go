package contents

import "fmt"

// Obstacles tells, in a sentence each, what keeps a cloud from starting a server from the disk:
// what is encrypted already, and the medium of an installer.
func (i *Info) Obstacles() []string {
	var all []string
	if i.Encrypted {
		all = append(all, "there is something encrypted on the disk already, which the cloud cannot start from")
	}
	if f := i.Filesystem; f.Optical() {
		all = append(all, fmt.Sprintf("this is an ISO image (%s), the medium of an installer, and not the disk of a server: install the system on a disk first", f.Type))
	}
	return all
}
