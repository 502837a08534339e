# Production: the loss of a zone is survived. The Kubernetes API has no public endpoint, and no variable that gives it one.

locals {
  tags = {
    Project     = "detection-system"
    Environment = "prod"
    ManagedBy   = "terraform"
  }
}

module "platform" {
  source = "../../modules/platform"

  environment        = "prod"
  tags               = local.tags
  cidr               = "10.0.0.0/16"
  availability_zones = var.availability_zones
  node_zone_count    = 3
  nat_per_zone       = true

  # What nodes and pods need to start and to get their roles, so that they do with the ways out lost.
  interface_endpoints = ["ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "logs", "sts"]

  nodes = {
    instance_type = "t3.xlarge"
    min           = 3
    desired       = 3
    max           = 10
  }

  database = {
    instance_class        = "db.m7g.large"
    storage_gb            = 100
    storage_max_gb        = 500
    multi_az              = true
    backup_retention_days = 30
    deletion_protection   = var.deletion_protection
  }

  backup_lock = { mode = "COMPLIANCE", days = 30 }

  access_entries           = var.access_entries
  api_private_cidrs        = var.api_private_cidrs
  alarm_topic_arns         = var.alarm_topic_arns
  addon_versions           = var.addon_versions
  permissions_boundary_arn = var.permissions_boundary_arn
}
