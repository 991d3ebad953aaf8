package main

// overview is the output of luksimg without a verb: the most common tasks, and where to find the others.
const overview = `luksimg encrypts disk images of virtual machines with LUKS, and opens, checks and deploys them.

Encrypt a disk image, with a new key:
  luksimg encrypt --generate-key dek.b64 disk.vhd disk.luks

Decrypt an image to a raw disk:
  luksimg decrypt --key-file dek.b64 disk.luks disk.raw

Show what an image is, without a key:
  luksimg inspect disk.luks

List and change the keys that open an image:
  luksimg key list disk.luks
  luksimg key add --key-file dek.b64 --new-passphrase-file phrase.txt disk.luks

Bring a disk into IBM Cloud, encrypted:
  luksimg deploy --name web --os-code UBUNTU_22_64 --root-key-crn CRN --object cos://us-south/images/ disk.vhd

luksimg --help lists all commands, and luksimg COMMAND --help explains one of them.
`
