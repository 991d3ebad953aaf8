# Build a disk image and deploy it to IBM Cloud classic infrastructure. The post-processor encrypts it after the build, so the installer needs no passphrase.
# The deployment is a build of its own: if it fails, the disk is kept, and the second command continues it.
#
#   export IBMCLOUD_API_KEY=... SL_USERNAME=... SL_API_KEY=...
#   packer init classic.pkr.hcl
#   packer build -only='disk.*' -var root_key_crn="$CRN" -var bucket=images classic.pkr.hcl
#   packer build -only='deploy.*' -var root_key_crn="$CRN" -var bucket=images classic.pkr.hcl
packer {
  required_plugins {
    qemu = {
      source  = "github.com/hashicorp/qemu"
      version = ">= 1.1.0"
    }
    luksimg = {
      source  = "github.com/luksimg/luksimg"
      version = ">= 0.1.0"
    }
  }
}

variable "root_key_crn" {
  type        = string
  description = "The root key in Key Protect that wraps the key of the image"
}

variable "bucket" {
  type = string
}

source "qemu" "web" {
  iso_url          = "https://cdimage.debian.org/images/cloud/bookworm/latest/debian-12-generic-amd64.qcow2"
  iso_checksum     = "file:https://cdimage.debian.org/images/cloud/bookworm/latest/SHA512SUMS"
  disk_image       = true
  disk_size        = "10G"
  format           = "qcow2"
  headless         = true
  ssh_username     = "debian"
  shutdown_command = "sudo shutdown -P now"
  output_directory = "built"
  vm_name          = "web.qcow2"
}

source "null" "web" {
  communicator = "none"
}

build {
  name    = "disk"
  sources = ["source.qemu.web"]

  provisioner "shell" {
    inline = ["sudo apt-get update", "sudo apt-get install -y nginx"]
  }
}

build {
  name    = "deploy"
  sources = ["source.null.web"]

  post-processors {
    post-processor "artifice" {
      files = ["built/web.qcow2"]
    }

    # No file has the key in clear text. The wrapped key is in built/web.encrypted.raw.envelope.json.
    post-processor "luksimg" {
      profile      = "classic-luks"
      root_key_crn = var.root_key_crn
      object       = "cos://us-south/${var.bucket}/"

      deploy {
        name    = "web"
        os_code = "DEBIAN_12_64"
      }
    }
  }
}
