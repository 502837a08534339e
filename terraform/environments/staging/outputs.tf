output "chart_values" {
  description = "Values file for the chart: terraform output -raw chart_values."
  value       = module.platform.chart_values
}

output "cluster" {
  description = "The cluster: name, endpoint, version, certificate authority, OpenID Connect provider."
  value       = module.platform.cluster
}

output "database" {
  description = "The database: host, port, name, identifier, and the secret with the master password."
  value       = module.platform.database
}

output "backup" {
  description = "The backup bucket, its key, and the role that writes into it."
  value       = module.platform.backup
}

output "pod_identities" {
  description = "Which service account gets which role."
  value       = module.platform.pod_identities
}

output "network" {
  description = "VPC, its private subnets, and the addresses from which the nodes reach the world."
  value       = module.platform.network
}

output "sizes" {
  description = "How large this environment is: nodes, database, NAT gateways, endpoints, zones, lock, and whether the API is public."
  value       = module.platform.sizes
}
