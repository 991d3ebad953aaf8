# The smallest template: encrypt an existing file as LUKS2 with a new key.
#
#   packer build -var disk=disk.raw local.pkr.hcl
packer {
  required_plugins {
    luksimg = {
      source  = "github.com/luksimg/luksimg"
      version = ">= 0.1.0"
    }
  }
}

variable "disk" {
  type = string
}

source "file" "disk" {
  source = var.disk
  target = "copy.raw"
}

build {
  sources = ["source.file.disk"]

  post-processor "luksimg" {
    generate_key = "disk.key"
    output       = "{{.BuildName}}.luks"
    verify       = true
  }
}
