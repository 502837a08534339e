# The sizes of the requirements, and whether the chart and this fit together: the chart's own files are read.

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

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::mocked" }
  }

  mock_resource "aws_launch_template" {
    defaults = { id = "lt-00000000000000000", latest_version = 1 }
  }

  mock_resource "aws_db_instance" {
    defaults = {
      address            = "detection.mocked.us-east-1.rds.amazonaws.com"
      arn                = "arn:aws:rds:us-east-1:123456789012:db:mocked"
      master_user_secret = [{ secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:mocked", kms_key_id = "mocked", secret_status = "active" }]
    }
  }

  mock_resource "aws_eks_cluster" {
    defaults = {
      arn                   = "arn:aws:eks:us-east-1:123456789012:cluster/mocked"
      endpoint              = "https://mocked.eks.amazonaws.com"
      certificate_authority = [{ data = "bW9ja2Vk" }]
      identity              = [{ oidc = [{ issuer = "https://oidc.eks.us-east-1.amazonaws.com/id/MOCKED" }] }]
    }
  }
}

run "sizes" {
  assert {
    condition     = output.sizes.nodes == { instance_type = "t3.xlarge", min = 3, desired = 3, max = 10, subnets = 3 }
    error_message = "Nodes: t3.xlarge, 3 to 10, in 3 zone(s)."
  }

  assert {
    condition     = output.sizes.database.instance_class == "db.m7g.large" && output.sizes.database.storage_gb == 100 && output.sizes.database.storage_max_gb == 500
    error_message = "Database: db.m7g.large, 100 to 500 GiB."
  }

  assert {
    condition     = output.sizes.database.multi_az == true && output.sizes.database.backup_retention_days == 30 && output.sizes.database.deletion_protection == true
    error_message = "Standby true, backups 30 days, protection true."
  }

  assert {
    condition     = output.sizes.zones == 3 && output.sizes.nat_gateways == 3 && output.sizes.interface_endpoints == 7
    error_message = "Subnets in three zones, 3 NAT gateway(s), 7 interface endpoint(s)."
  }

  assert {
    condition     = output.sizes.backup_lock == { mode = "COMPLIANCE", days = 30 }
    error_message = "The backup bucket is locked for 30 days, COMPLIANCE."
  }

  assert {
    condition     = output.sizes.public_api == false
    error_message = "No public endpoint of the Kubernetes API."
  }

  # The chart.
  assert {
    condition     = yamldecode(output.chart_values).database.peers == yamldecode(file("../../../kubernetes/chart/values-prod.yaml")).database.peers
    error_message = "The chart's network policy names the database's subnets."
  }

  assert {
    condition     = yamldecode(output.chart_values).config.trusted_proxy == yamldecode(file("../../../kubernetes/chart/values-prod.yaml")).config.trusted_proxy
    error_message = "The chart trusts proxies from the private subnets."
  }

  assert {
    condition     = yamldecode(output.chart_values).database.name == yamldecode(file("../../../kubernetes/chart/values.yaml")).database.name && output.database.port == yamldecode(file("../../../kubernetes/chart/values.yaml")).database.port
    error_message = "Database name and port are the chart's."
  }

  assert {
    condition     = endswith(yamldecode(output.chart_values).database.host, ".rds.amazonaws.com") && yamldecode(file("../../../kubernetes/chart/values.yaml")).database.tls.mode == "verify-full"
    error_message = "The host is RDS's own name: the chart checks the certificate in full, and that names no other."
  }

  assert {
    condition = contains(keys(output.pod_identities), join("/", [
      yamldecode(file("../../../kubernetes/manifests/prod/serviceaccount.yaml")).metadata.namespace,
      yamldecode(file("../../../kubernetes/manifests/prod/serviceaccount.yaml")).metadata.name,
    ]))
    error_message = "The chart's service account has a role."
  }

  assert {
    condition     = alltrue([for identity in values(output.pod_identities) : contains(["argocd", yamldecode(file("../../../kubernetes/manifests/prod/namespace.yaml")).metadata.name], identity.namespace)])
    error_message = "Roles are for the chart's namespace and Argo CD's."
  }

  # Six connections for each pod that may exist at once, two of hooks, five that PostgreSQL and RDS keep for themselves.
  assert {
    condition     = (tonumber(yamldecode(file("../../../kubernetes/manifests/prod/resourcequota.yaml")).spec.hard.pods) - 2) * 6 + 2 + 5 <= output.sizes.database.max_connections
    error_message = "max_connections holds every pod of the chart's quota."
  }

  # 4 vCPU and 16 GiB each: half is for the add-ons, Argo CD and the monitoring stack.
  assert {
    condition = 2 * try(yamldecode(file("../../../kubernetes/chart/values-prod.yaml")).replicas, yamldecode(file("../../../kubernetes/chart/values-prod.yaml")).autoscaling.minReplicas) * (
      tonumber(trimsuffix(yamldecode(file("../../../kubernetes/chart/values.yaml")).resources.requests.cpu, "m"))
    ) <= 0.5 * 1000 * 4 * output.sizes.nodes.desired
    error_message = "Both slots fit on the nodes by CPU, as a release needs."
  }

  assert {
    condition = 2 * try(yamldecode(file("../../../kubernetes/chart/values-prod.yaml")).replicas, yamldecode(file("../../../kubernetes/chart/values-prod.yaml")).autoscaling.minReplicas) * (
      tonumber(trimsuffix(yamldecode(file("../../../kubernetes/chart/values.yaml")).resources.requests.memory, "Mi"))
    ) <= 0.5 * 1024 * 16 * output.sizes.nodes.desired
    error_message = "And by memory."
  }
}

run "refuses" {
  command = plan

  variables {
    availability_zones = ["us-east-1a", "us-east-1b"]
    account_id         = "123"
  }

  expect_failures = [var.availability_zones, var.account_id]
}
