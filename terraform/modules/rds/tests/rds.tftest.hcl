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

  mock_resource "aws_db_instance" {
    defaults = {
      address            = "detection.mocked.us-east-1.rds.amazonaws.com"
      arn                = "arn:aws:rds:us-east-1:123456789012:db:mocked"
      master_user_secret = [{ secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:mocked", kms_key_id = "mocked", secret_status = "active" }]
    }
  }
}

variables {
  name                   = "detection-test"
  vpc_id                 = "vpc-00000000"
  subnet_ids             = ["subnet-1", "subnet-2", "subnet-3"]
  node_security_group_id = "sg-nodes"
  instance_class         = "db.m7g.large"
  storage_gb             = 100
  storage_max_gb         = 500
  multi_az               = true
  backup_retention_days  = 30
  deletion_protection    = true
}

run "protected" {
  # Who reaches it.
  assert {
    condition     = aws_db_instance.this.publicly_accessible == false
    error_message = "No public address."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.nodes.referenced_security_group_id == "sg-nodes" && aws_vpc_security_group_ingress_rule.nodes.from_port == 5432 && aws_vpc_security_group_ingress_rule.nodes.to_port == 5432
    error_message = "The nodes reach PostgreSQL's port."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.nodes.cidr_ipv4 == null && aws_vpc_security_group_ingress_rule.nodes.cidr_ipv6 == null
    error_message = "No network reaches it, only the group."
  }

  assert {
    condition     = aws_db_instance.this.vpc_security_group_ids == toset([aws_security_group.this.id])
    error_message = "It has this group and no other."
  }

  assert {
    condition     = aws_db_subnet_group.this.subnet_ids == toset(["subnet-1", "subnet-2", "subnet-3"])
    error_message = "It stands in the database's subnets."
  }

  # What protects it.
  assert {
    condition     = aws_db_instance.this.storage_encrypted && aws_db_instance.this.kms_key_id == aws_kms_key.this.arn && aws_kms_key.this.enable_key_rotation
    error_message = "Encrypted by its own, rotated key."
  }

  assert {
    condition     = aws_db_instance.this.manage_master_user_password && aws_db_instance.this.password == null
    error_message = "The master password is RDS's and in no state."
  }

  assert {
    condition     = aws_db_instance.this.multi_az
    error_message = "A standby in another zone."
  }

  assert {
    condition     = aws_db_instance.this.deletion_protection && aws_db_instance.this.skip_final_snapshot == false && aws_db_instance.this.final_snapshot_identifier == "detection-test-final" && aws_db_instance.this.delete_automated_backups == false
    error_message = "Not deleted by accident, and not without a last snapshot; backups outlive it."
  }

  assert {
    condition     = aws_db_instance.this.backup_retention_period == 30 && aws_db_instance.this.backup_window == "02:00-03:00" && aws_db_instance.this.maintenance_window == "sun:04:00-sun:05:00"
    error_message = "30 days, at 02:00, maintenance on Sunday at 04:00."
  }

  assert {
    condition     = aws_db_instance.this.storage_type == "gp3" && aws_db_instance.this.allocated_storage == 100 && aws_db_instance.this.max_allocated_storage == 500
    error_message = "100 to 500 GiB of gp3."
  }

  assert {
    condition     = aws_db_instance.this.engine == "postgres" && aws_db_instance.this.engine_version == "16" && aws_db_parameter_group.this.family == "postgres16"
    error_message = "PostgreSQL 16."
  }

  # Settings, in the right units.
  assert {
    condition     = local.parameters["rds.force_ssl"].value == "1" && local.parameters["max_connections"].value == "200"
    error_message = "TLS is forced; 200 connections."
  }

  assert {
    condition     = local.parameters["shared_buffers"].value == "{DBInstanceClassMemory/32768}"
    error_message = "shared_buffers counts pages of 8 kB: memory in bytes / 8192 / 4 is a quarter."
  }

  assert {
    condition     = local.parameters["effective_cache_size"].value == "{DBInstanceClassMemory/16384}"
    error_message = "effective_cache_size counts pages of 8 kB: memory in bytes / 8192 / 2 is a half."
  }

  assert {
    condition     = tonumber(local.parameters["work_mem"].value) * var.max_connections <= 2 * 1024 * 1024 && tonumber(local.parameters["maintenance_work_mem"].value) < 1024 * 1024
    error_message = "work_mem and maintenance_work_mem count kB: 200 connections' work fits in 2 GiB."
  }

  assert {
    condition     = local.parameters["synchronous_commit"].value == "on"
    error_message = "An answer comes after the commit is on disk."
  }

  assert {
    condition = alltrue([for parameter in aws_db_parameter_group.this.parameter :
    parameter.apply_method == (contains(["rds.force_ssl", "max_connections", "shared_buffers"], parameter.name) ? "pending-reboot" : "immediate")])
    error_message = "Static settings wait for a restart; RDS refuses them otherwise."
  }

  # Alarms and logs.
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["cpu"].threshold == 80 && aws_cloudwatch_metric_alarm.this["cpu"].comparison_operator == "GreaterThanThreshold"
    error_message = "CPU over 80 %."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["storage"].threshold == 20 * 1024 * 1024 * 1024 && aws_cloudwatch_metric_alarm.this["storage"].comparison_operator == "LessThanThreshold"
    error_message = "Less than 20 % of 100 GiB free; the metric counts bytes."
  }

  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.this : group.kms_key_id == aws_kms_key.this.arn && group.retention_in_days == 90])
    error_message = "Its logs are encrypted and kept for 90 days."
  }

  assert {
    condition     = length(aws_db_instance.replica) == 0 && length(aws_cloudwatch_metric_alarm.replica) == 0
    error_message = "No replica unless asked for."
  }
}

run "single_with_a_replica" {
  variables {
    multi_az            = false
    availability_zone   = "us-east-1a"
    deletion_protection = false
    skip_final_snapshot = true
    read_replica        = true
  }

  assert {
    condition     = aws_db_instance.this.multi_az == false && aws_db_instance.this.availability_zone == "us-east-1a"
    error_message = "One server, in the zone of the nodes."
  }

  assert {
    condition     = aws_db_instance.this.final_snapshot_identifier == null
    error_message = "No name for a snapshot that is not made."
  }

  assert {
    condition     = aws_db_instance.replica[0].publicly_accessible == false && aws_db_instance.replica[0].storage_encrypted
    error_message = "The replica is as shut as the primary."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.replica["lag"].threshold == 30 && aws_cloudwatch_metric_alarm.replica["lag"].dimensions.DBInstanceIdentifier == "detection-test-replica"
    error_message = "Its lag is watched: 30 s."
  }
}

run "refuses" {
  command = plan

  variables {
    subnet_ids            = ["subnet-1"]
    engine_version        = "16.3"
    instance_class        = "db.t4g.micro"
    storage_gb            = 10
    backup_retention_days = 1
    skip_final_snapshot   = true
    master_username       = "postgres"
    max_connections       = 20
    log_retention_days    = 1
    name                  = "detection--test"
  }

  expect_failures = [
    var.subnet_ids, var.engine_version, var.instance_class, var.storage_gb, var.backup_retention_days,
    var.skip_final_snapshot, var.master_username, var.max_connections, var.log_retention_days, var.name,
  ]
}

run "refuses_room_that_is_no_room" {
  command = plan

  variables {
    storage_max_gb = 105
  }

  expect_failures = [var.storage_max_gb]
}
