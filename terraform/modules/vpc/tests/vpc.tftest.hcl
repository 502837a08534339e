# The provider is mocked: what it would compute is given where a random word will not do. Policies are never mocked: the
# modules render them.
mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_region" {
    defaults = { name = "us-east-1" }
  }

  mock_resource "aws_kms_key" {
    defaults = {
      arn    = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
      key_id = "00000000-0000-0000-0000-000000000000"
    }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:mocked" }
  }
}

variables {
  name               = "detection-test"
  cidr               = "10.30.0.0/16"
  availability_zones = ["us-east-1a", "us-east-1b", "us-east-1c"]
  nat_per_zone       = true
}

# OpenTofu gives every mocked table the same id.
override_resource {
  target = aws_route_table.database
  values = { id = "rtb-database" }
}

run "with_all" {
  variables {
    interface_endpoints = ["sts", "ecr.api"]
  }

  assert {
    condition     = [for zone in var.availability_zones : aws_subnet.public[zone].cidr_block] == ["10.30.1.0/24", "10.30.2.0/24", "10.30.3.0/24"]
    error_message = "Public subnets are .1 to .3."
  }

  assert {
    condition     = output.private_subnet_cidrs == ["10.30.11.0/24", "10.30.12.0/24", "10.30.13.0/24"]
    error_message = "Private subnets are .11 to .13."
  }

  assert {
    condition     = output.database_subnet_cidrs == ["10.30.21.0/24", "10.30.22.0/24", "10.30.23.0/24"]
    error_message = "Database subnets are .21 to .23."
  }

  assert {
    condition     = alltrue([for zone in var.availability_zones : aws_subnet.private[zone].availability_zone == zone && aws_subnet.database[zone].availability_zone == zone])
    error_message = "Each zone has its subnets."
  }

  assert {
    condition     = alltrue([for subnet in aws_subnet.public : subnet.map_public_ip_on_launch == false])
    error_message = "No machine gets a public address by itself."
  }

  assert {
    condition     = alltrue([for subnet in aws_subnet.public : subnet.tags["kubernetes.io/role/elb"] == "1"])
    error_message = "Public subnets are found by load balancers of the world."
  }

  assert {
    condition     = alltrue([for subnet in aws_subnet.private : subnet.tags["kubernetes.io/role/internal-elb"] == "1"])
    error_message = "Private subnets are found by inner load balancers."
  }

  assert {
    condition     = aws_vpc.this.enable_dns_support && aws_vpc.this.enable_dns_hostnames
    error_message = "Private endpoints and RDS are found by name."
  }

  assert {
    condition     = aws_default_security_group.this.ingress == null || length(aws_default_security_group.this.ingress) == 0
    error_message = "The default security group lets nothing in."
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 3 && length(aws_eip.nat) == 3
    error_message = "Three NAT gateways."
  }

  assert {
    condition     = alltrue([for zone in var.availability_zones : aws_route.nat[zone].nat_gateway_id == aws_nat_gateway.this[zone].id])
    error_message = "Each zone goes out by its own gateway."
  }

  assert {
    condition     = alltrue([for zone in var.availability_zones : aws_nat_gateway.this[zone].subnet_id == aws_subnet.public[zone].id])
    error_message = "Each gateway stands in the public subnet of its zone."
  }

  assert {
    condition     = alltrue([for association in aws_route_table_association.database : association.route_table_id == aws_route_table.database.id])
    error_message = "The database's subnets have their own table."
  }

  assert {
    condition = !contains(concat([aws_route.internet.route_table_id], [for route in aws_route.nat : route.route_table_id]), aws_route_table.database.id)

    error_message = "No route leads out of it."
  }

  assert {
    condition     = !contains(aws_vpc_endpoint.s3.route_table_ids, aws_route_table.database.id)
    error_message = "Nor one to S3."
  }

  assert {
    condition     = aws_flow_log.this.traffic_type == "ALL" && aws_flow_log.this.log_destination == aws_cloudwatch_log_group.flow_logs.arn
    error_message = "All traffic is logged."
  }

  assert {
    condition     = aws_cloudwatch_log_group.flow_logs.retention_in_days == 90 && aws_cloudwatch_log_group.flow_logs.kms_key_id == aws_kms_key.flow_logs.arn
    error_message = "For 90 days, encrypted."
  }

  assert {
    condition     = aws_kms_key.flow_logs.enable_key_rotation
    error_message = "The key is rotated."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.flow_logs.policy).Statement[0].Resource == "arn:aws:logs:us-east-1:123456789012:log-group:/aws/vpc/detection-test/flow-logs:*"
    error_message = "The role writes into its own log group and no other."
  }

  assert {
    condition     = jsondecode(aws_kms_key.flow_logs.policy).Statement[1].Condition.ArnEquals["kms:EncryptionContext:aws:logs:arn"] == "arn:aws:logs:us-east-1:123456789012:log-group:/aws/vpc/detection-test/flow-logs"
    error_message = "CloudWatch uses the key for this log group only."
  }

  assert {
    condition     = aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway" && length(aws_vpc_endpoint.s3.route_table_ids) > 0
    error_message = "S3 is reached inside, at no cost."
  }

  assert {
    condition     = aws_vpc_endpoint.interface["ecr.api"].service_name == "com.amazonaws.us-east-1.ecr.api" && aws_vpc_endpoint.interface["sts"].private_dns_enabled
    error_message = "Interface endpoints by their service's name, found by DNS."
  }

  assert {
    condition     = [for zone in var.availability_zones : aws_vpc_security_group_ingress_rule.endpoints[zone].cidr_ipv4] == output.private_subnet_cidrs
    error_message = "Only the private subnets reach them."
  }
}

run "with_the_least" {
  variables {
    nat_per_zone = false
  }

  assert {
    condition     = keys(aws_nat_gateway.this) == ["us-east-1a"]
    error_message = "One NAT gateway, in the first zone."
  }

  assert {
    condition     = alltrue([for route in aws_route.nat : route.nat_gateway_id == aws_nat_gateway.this["us-east-1a"].id])
    error_message = "All zones go out by it."
  }

  assert {
    condition     = length(aws_security_group.endpoints) == 0 && length(aws_vpc_endpoint.interface) == 0
    error_message = "Nothing is made for endpoints that are not."
  }
}

run "refuses" {
  command = plan

  variables {
    cidr                    = "10.30.0.0/20"
    availability_zones      = ["us-east-1a"]
    flow_log_retention_days = 30
    interface_endpoints     = ["s3"]
    name                    = "Detection_Test"
  }

  expect_failures = [var.cidr, var.availability_zones, var.flow_log_retention_days, var.interface_endpoints, var.name]
}
