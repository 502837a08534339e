output "bucket" {
  description = "Name of the backup bucket; snapshots under database/, the audit trail under audit/."
  value       = aws_s3_bucket.this.id
}

output "bucket_arn" {
  description = "Its ARN."
  value       = aws_s3_bucket.this.arn
}

output "key_arn" {
  description = "KMS key of everything in it."
  value       = aws_kms_key.this.arn
}

output "log_bucket" {
  description = "Name of the bucket with its access log."
  value       = aws_s3_bucket.logs.id
}

output "lock" {
  description = "Object lock of the backup bucket."
  value       = { mode = var.lock_mode, days = var.lock_days }
}
