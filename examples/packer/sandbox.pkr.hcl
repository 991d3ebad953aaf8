# Deploy the disk in an existing file to luksimg-sandbox. If that fails, the same command continues it.
#
#   packer build -var disk=disk.raw sandbox.pkr.hcl
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

# These variables are in cloud.env, which the sandbox writes. The API key and the user are there too.
variable "bucket" {
  default = env("LUKSIMG_BUCKET")
}

variable "root_key_crn" {
  default = env("LUKSIMG_ROOT_KEY_CRN")
}

variable "iam_url" {
  default = env("IBMCLOUD_IAM_URL")
}

variable "kms_url" {
  default = env("LUKSIMG_KMS_URL")
}

variable "cos_url" {
  default = env("LUKSIMG_COS_URL")
}

variable "softlayer_url" {
  default = env("SL_ENDPOINT_URL")
}

# There is nothing to build: artifice takes the file.
source "null" "web" {
  communicator = "none"
}

build {
  sources = ["source.null.web"]

  post-processors {
    post-processor "artifice" {
      files = [var.disk]
    }

    post-processor "luksimg" {
      profile             = "classic-luks"
      root_key_crn        = var.root_key_crn
      object              = "cos://us-south/${var.bucket}/"
      iam_url             = var.iam_url
      kms_url             = var.kms_url
      cos_url             = var.cos_url
      keep_input_artifact = true

      deploy {
        name          = "web"
        os_code       = "DEBIAN_12_64"
        softlayer_url = var.softlayer_url
      }
    }
  }
}
