# What wakes somebody when the database itself, not the service, is short of something.

locals {
  gib = 1024 * 1024 * 1024

  alarms = {
    cpu = {
      metric = "CPUUtilization", comparison = "GreaterThanThreshold", threshold = 80
      text   = "CPU over 80 % for 15 minutes"
    }
    storage = {
      # Of what was asked for at first: RDS itself grows the volume below 10 %, up to storage_max_gb.
      metric = "FreeStorageSpace", comparison = "LessThanThreshold", threshold = 0.2 * var.storage_gb * local.gib
      text   = "less than 20 % of the storage is free"
    }
    connections = {
      metric = "DatabaseConnections", comparison = "GreaterThanThreshold", threshold = floor(0.9 * var.max_connections)
      text   = "more than 90 % of the connections are taken"
    }
  }

  # Only a read replica has this metric; the standby of Multi-AZ is synchronous and has none.
  replica_alarms = var.read_replica ? {
    lag = {
      metric = "ReplicaLag", comparison = "GreaterThanThreshold", threshold = 30
      text   = "the read replica is more than 30 s behind"
    }
  } : {}
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-database-${each.key}"
  alarm_description   = "${var.name}: ${each.value.text}"
  namespace           = "AWS/RDS"
  metric_name         = each.value.metric
  dimensions          = { DBInstanceIdentifier = aws_db_instance.this.identifier }
  statistic           = "Average"
  period              = 300
  evaluation_periods  = 3
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  treat_missing_data  = "breaching" # a database that says nothing is not well
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
}

resource "aws_db_instance" "replica" {
  count = var.read_replica ? 1 : 0

  identifier             = "${var.name}-replica"
  replicate_source_db    = aws_db_instance.this.identifier
  instance_class         = var.instance_class
  storage_encrypted      = true
  vpc_security_group_ids = [aws_security_group.this.id]
  publicly_accessible    = false
  parameter_group_name   = aws_db_parameter_group.this.name
  ca_cert_identifier     = aws_db_instance.this.ca_cert_identifier

  iam_database_authentication_enabled = true
  auto_minor_version_upgrade          = true
  copy_tags_to_snapshot               = true
  deletion_protection                 = var.deletion_protection
  skip_final_snapshot                 = true

  monitoring_interval             = 60
  monitoring_role_arn             = aws_iam_role.monitoring.arn
  performance_insights_enabled    = true
  performance_insights_kms_key_id = aws_kms_key.this.arn
  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]
}

resource "aws_cloudwatch_metric_alarm" "replica" {
  for_each = local.replica_alarms

  alarm_name          = "${var.name}-database-${each.key}"
  alarm_description   = "${var.name}: ${each.value.text}"
  namespace           = "AWS/RDS"
  metric_name         = each.value.metric
  dimensions          = { DBInstanceIdentifier = aws_db_instance.replica[0].identifier }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 3
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
}
