terraform {
  required_version = ">= 1.11.0, < 2.0.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }

  # Its own state begins on the disk, since there is no bucket yet, and then moves into the bucket (docs/infrastructure.md).
}

provider "aws" {
  region              = var.region
  allowed_account_ids = var.account_id == null ? null : [var.account_id]

  default_tags {
    tags = {
      Project   = "detection-system"
      Component = "terraform-state"
      ManagedBy = "terraform"
    }
  }
}
