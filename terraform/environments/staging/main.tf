# Staging: as production, smaller: three zones and a standby of the database, but one way out and two nodes.

locals {
  tags = {
    Project     = "detection-system"
    Environment = "staging"
    ManagedBy   = "terraform"
  }
}

module "platform" {
  source = "../../modules/platform"

  environment        = "staging"
  tags               = local.tags
  cidr               = "10.20.0.0/16"
  availability_zones = var.availability_zones
  node_zone_count    = 3
  nat_per_zone       = false

  nodes = {
    instance_type = "t3.large"
    min           = 2
    desired       = 2
    max           = 4
  }

  database = {
    instance_class        = "db.t4g.large"
    storage_gb            = 50
    storage_max_gb        = 200
    multi_az              = true
    backup_retention_days = 14
    deletion_protection   = var.deletion_protection
  }

  backup_lock = { mode = "GOVERNANCE", days = 14 }

  access_entries           = var.access_entries
  api_public_cidrs         = var.api_public_cidrs
  api_private_cidrs        = var.api_private_cidrs
  alarm_topic_arns         = var.alarm_topic_arns
  addon_versions           = var.addon_versions
  permissions_boundary_arn = var.permissions_boundary_arn
}
