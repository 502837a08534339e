# Development: one node in one zone, one database server. Its loss costs a day, not data that anybody needs.

locals {
  tags = {
    Project     = "detection-system"
    Environment = "dev"
    ManagedBy   = "terraform"
  }
}

module "platform" {
  source = "../../modules/platform"

  environment        = "dev"
  tags               = local.tags
  cidr               = "10.10.0.0/16"
  availability_zones = var.availability_zones
  node_zone_count    = 1
  nat_per_zone       = false

  nodes = {
    instance_type = "t3.medium"
    min           = 1
    desired       = 1
    max           = 1
    max_pods      = 35 # its own limit of 17 does not hold the add-ons, Argo CD and two slots
  }

  database = {
    instance_class        = "db.t4g.medium"
    storage_gb            = 20
    storage_max_gb        = 100
    multi_az              = false
    backup_retention_days = 7
    deletion_protection   = false
    skip_final_snapshot   = true
  }

  backup_lock = { mode = "GOVERNANCE", days = 7 }

  access_entries           = var.access_entries
  api_public_cidrs         = var.api_public_cidrs
  api_private_cidrs        = var.api_private_cidrs
  alarm_topic_arns         = var.alarm_topic_arns
  addon_versions           = var.addon_versions
  permissions_boundary_arn = var.permissions_boundary_arn
}
