output "chart_values" {
  description = "What the chart has to know of all this, as a values file: kubernetes/environments/ENV/infrastructure.yaml."
  value = yamlencode({
    database = {
      host  = module.rds.host
      port  = module.rds.port
      name  = module.rds.database_name
      peers = [for cidr in module.vpc.database_subnet_cidrs : { cidr = cidr }]
    }
    config = { trusted_proxy = module.vpc.private_subnet_cidrs }
  })
}

output "cluster" {
  description = "The cluster: name, endpoint, version, certificate authority, OpenID Connect provider."
  value = {
    name                  = module.eks.cluster_name
    endpoint              = module.eks.cluster_endpoint
    version               = module.eks.cluster_version
    certificate_authority = module.eks.cluster_certificate_authority
    oidc_provider_arn     = module.eks.oidc_provider_arn
  }
}

output "database" {
  description = "The database: host, port, name, identifier, and the secret with the master password."
  value = {
    host              = module.rds.host
    port              = module.rds.port
    name              = module.rds.database_name
    identifier        = module.rds.identifier
    master_secret_arn = module.rds.master_secret_arn
  }
}

output "backup" {
  description = "The backup bucket, its key, and the role that writes into it."
  value = {
    bucket   = module.s3.bucket
    key_arn  = module.s3.key_arn
    role_arn = module.iam.role_arns["backup"]
  }
}

output "pod_identities" {
  description = "Which service account gets which role."
  value       = module.iam.pod_identities
}

output "network" {
  description = "VPC, its private subnets, and the addresses from which the nodes reach the world."
  value = {
    vpc_id               = module.vpc.vpc_id
    private_subnet_ids   = module.vpc.private_subnet_ids
    private_subnet_cidrs = module.vpc.private_subnet_cidrs
    nat_addresses        = module.vpc.nat_addresses
  }
}

output "sizes" {
  description = "How large this environment is: nodes, database, NAT gateways, endpoints, zones, lock, and whether the API is public."
  value = {
    nodes               = module.eks.nodes
    database            = module.rds.size
    zones               = length(var.availability_zones)
    nat_gateways        = length(module.vpc.nat_gateways)
    interface_endpoints = length(module.vpc.interface_endpoints)
    backup_lock         = module.s3.lock
    public_api          = module.eks.public_api
  }
}
