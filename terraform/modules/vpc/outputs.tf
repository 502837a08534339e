output "vpc_id" {
  description = "Id of the VPC."
  value       = aws_vpc.this.id
}

output "vpc_cidr" {
  description = "Its addresses."
  value       = aws_vpc.this.cidr_block
}

output "public_subnet_ids" {
  description = "Public subnets, in the order of the zones."
  value       = [for zone in var.availability_zones : aws_subnet.public[zone].id]
}

output "private_subnet_ids" {
  description = "Private subnets (nodes, control plane), in the order of the zones."
  value       = [for zone in var.availability_zones : aws_subnet.private[zone].id]
}

output "database_subnet_ids" {
  description = "Database subnets, in the order of the zones."
  value       = [for zone in var.availability_zones : aws_subnet.database[zone].id]
}

output "private_subnet_cidrs" {
  description = "Addresses of the private subnets; the chart trusts proxies from there."
  value       = [for zone in var.availability_zones : local.private_cidrs[zone]]
}

output "database_subnet_cidrs" {
  description = "Addresses of the database subnets; the chart's network policy lets pods reach these."
  value       = [for zone in var.availability_zones : local.database_cidrs[zone]]
}

output "nat_addresses" {
  description = "Public addresses from which the nodes reach the world, for the allow lists of others (TAK servers, registries)."
  value       = [for zone in local.nat_zones : aws_eip.nat[zone].public_ip]
}

output "flow_log_group" {
  description = "CloudWatch log group of the flow logs."
  value       = aws_cloudwatch_log_group.flow_logs.name
}

output "nat_gateways" {
  description = "NAT gateways by name: one, or one in each zone."
  value       = [for zone in local.nat_zones : aws_nat_gateway.this[zone].tags.Name]
}

output "interface_endpoints" {
  description = "AWS services reached inside."
  value       = keys(aws_vpc_endpoint.interface)
}
