# One environment from the five modules: what is the same in all of them. What differs is in environments/*/main.tf.

locals {
  name = "detection-${var.environment}"

  node_zones      = slice(var.availability_zones, 0, var.node_zone_count)
  node_subnet_ids = slice(module.vpc.private_subnet_ids, 0, var.node_zone_count)
}

module "vpc" {
  source = "../vpc"

  name                = local.name
  cidr                = var.cidr
  availability_zones  = var.availability_zones
  nat_per_zone        = var.nat_per_zone
  interface_endpoints = var.interface_endpoints
}

module "s3" {
  source = "../s3"

  name      = local.name
  lock_mode = var.backup_lock.mode
  lock_days = var.backup_lock.days
}

module "iam" {
  source = "../iam"

  name                     = local.name
  cluster_name             = local.name
  backup_bucket_arn        = module.s3.bucket_arn
  backup_key_arn           = module.s3.key_arn
  permissions_boundary_arn = var.permissions_boundary_arn
}

module "eks" {
  source = "../eks"

  name                     = local.name
  kubernetes_version       = var.kubernetes_version
  vpc_id                   = module.vpc.vpc_id
  control_plane_subnet_ids = module.vpc.private_subnet_ids
  node_subnet_ids          = local.node_subnet_ids
  cluster_role_arn         = module.iam.cluster_role_arn
  node_role_arn            = module.iam.node_role_arn
  addon_role_arns          = module.iam.addon_role_arns
  addon_versions           = var.addon_versions
  pod_identities           = module.iam.pod_identities
  access_entries           = var.access_entries
  api_public_cidrs         = var.api_public_cidrs
  api_private_cidrs        = var.api_private_cidrs
  node_instance_type       = var.nodes.instance_type
  node_min                 = var.nodes.min
  node_desired             = var.nodes.desired
  node_max                 = var.nodes.max
  max_pods_per_node        = var.nodes.max_pods
  node_tags                = var.tags
}

module "rds" {
  source = "../rds"

  name                   = local.name
  vpc_id                 = module.vpc.vpc_id
  subnet_ids             = module.vpc.database_subnet_ids
  availability_zone      = local.node_zones[0]
  node_security_group_id = module.eks.node_security_group_id
  instance_class         = var.database.instance_class
  storage_gb             = var.database.storage_gb
  storage_max_gb         = var.database.storage_max_gb
  multi_az               = var.database.multi_az
  backup_retention_days  = var.database.backup_retention_days
  deletion_protection    = var.database.deletion_protection
  skip_final_snapshot    = var.database.skip_final_snapshot
  alarm_topic_arns       = var.alarm_topic_arns
}
