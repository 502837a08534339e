output "host" {
  description = "Host name: the chart's database.host. Its certificate names this and no alias, so with sslmode=verify-full nothing else will do."
  value       = aws_db_instance.this.address
}

output "port" {
  description = "Port: the chart's database.port."
  value       = aws_db_instance.this.port
}

output "database_name" {
  description = "Database: the chart's database.name."
  value       = aws_db_instance.this.db_name
}

output "identifier" {
  description = "Identifier of the instance, for restores."
  value       = aws_db_instance.this.identifier
}

output "resource_id" {
  description = "Id that IAM policies name a database by."
  value       = aws_db_instance.this.resource_id
}

output "master_secret_arn" {
  description = "Secret with the master password, which RDS rotates."
  value       = one(aws_db_instance.this.master_user_secret[*].secret_arn)
}

output "security_group_id" {
  description = "Security group of the database."
  value       = aws_security_group.this.id
}

output "key_arn" {
  description = "KMS key of the database."
  value       = aws_kms_key.this.arn
}

output "size" {
  description = "What runs: class, storage, most storage, standby, days of backups, protection."
  value = {
    instance_class        = aws_db_instance.this.instance_class
    storage_gb            = aws_db_instance.this.allocated_storage
    storage_max_gb        = aws_db_instance.this.max_allocated_storage
    multi_az              = aws_db_instance.this.multi_az
    backup_retention_days = aws_db_instance.this.backup_retention_period
    deletion_protection   = aws_db_instance.this.deletion_protection
    max_connections       = var.max_connections
  }
}
