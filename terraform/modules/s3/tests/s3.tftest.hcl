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

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::mocked" }
  }
}

variables {
  name      = "detection-test"
  lock_mode = "COMPLIANCE"
  lock_days = 30
}

run "bucket" {
  assert {
    condition     = aws_s3_bucket.this.bucket == "detection-test-backup-123456789012-us-east-1"
    error_message = "The name holds account and region."
  }

  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled" && aws_s3_bucket.this.object_lock_enabled
    error_message = "Versioned and lockable."
  }

  assert {
    condition     = aws_s3_bucket_object_lock_configuration.this.rule[0].default_retention[0].mode == "COMPLIANCE" && aws_s3_bucket_object_lock_configuration.this.rule[0].default_retention[0].days == 30
    error_message = "Locked as asked for."
  }

  assert {
    condition     = aws_s3_bucket.this.force_destroy == false
    error_message = "A bucket with backups in it is not deleted."
  }

  assert {
    condition = alltrue([for block in [aws_s3_bucket_public_access_block.this, aws_s3_bucket_public_access_block.logs] :
    block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets])
    error_message = "Public access is blocked fourfold, for both buckets."
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default[0].kms_master_key_id == aws_kms_key.this.arn
    error_message = "Encrypted by its own key."
  }

  assert {
    condition     = aws_kms_key.this.enable_key_rotation
    error_message = "The key is rotated."
  }

  assert {
    condition     = aws_s3_bucket_logging.this.target_bucket == aws_s3_bucket.logs.id
    error_message = "Who reads it is logged."
  }

  # The lifecycle, as the requirements have it.
  assert {
    condition     = { for step in aws_s3_bucket_lifecycle_configuration.this.rule[0].transition : step.storage_class => step.days } == { STANDARD_IA = 30, GLACIER = 90 }
    error_message = "database/ goes to IA at 30 days and to GLACIER at 90."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[0].filter[0].prefix == "database/" && aws_s3_bucket_lifecycle_configuration.this.rule[0].expiration[0].days == 365
    error_message = "database/ expires after 365 days."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[1].filter[0].prefix == "audit/" && aws_s3_bucket_lifecycle_configuration.this.rule[1].expiration[0].days == 2555
    error_message = "audit/ is kept for 2555 days."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[1].noncurrent_version_expiration[0].noncurrent_days == 2555
    error_message = "A record that was written over is kept as long."
  }

  # The policies, rendered.
  assert {
    condition = alltrue([for policy in [aws_s3_bucket_policy.this, aws_s3_bucket_policy.logs] : anytrue([for one in jsondecode(policy.policy).Statement :
    one.Effect == "Deny" && one.Action == "s3:*" && one.Principal == { AWS = "*" } && try(one.Condition.Bool["aws:SecureTransport"], "") == "false"])])
    error_message = "Both buckets refuse what does not come over TLS."
  }

  assert {
    condition     = alltrue([for one in jsondecode(aws_s3_bucket_policy.this.policy).Statement : one.Effect == "Deny"])
    error_message = "The bucket's policy allows nobody anything: that is IAM's."
  }

  assert {
    condition = alltrue([for one in jsondecode(aws_s3_bucket_policy.this.policy).Statement :
    try(keys(one.Condition.Null) == keys(one.Condition.StringNotEquals) && alltrue([for value in values(one.Condition.Null) : value == "false"]), false) if strcontains(one.Sid, "NoOther")])
    error_message = "A put without headers is taken (the bucket's own key is used); another encryption or key is refused."
  }

  assert {
    condition     = jsondecode(aws_s3_bucket_policy.this.policy).Statement[2].Condition.StringNotEquals["s3:x-amz-server-side-encryption-aws-kms-key-id"] == aws_kms_key.this.arn
    error_message = "No other key than its own."
  }

  assert {
    condition = [for one in jsondecode(aws_s3_bucket_policy.logs.policy).Statement : [one.Principal, one.Resource, one.Condition.ArnEquals["aws:SourceArn"]] if one.Effect == "Allow"] == [[
      { Service = "logging.s3.amazonaws.com" },
      "arn:aws:s3:::detection-test-backup-log-123456789012-us-east-1/access/*",
      "arn:aws:s3:::detection-test-backup-123456789012-us-east-1",
    ]]
    error_message = "Only S3, only for this bucket, writes the access log."
  }
}

run "refuses" {
  command = plan

  variables {
    lock_mode             = "NONE"
    lock_days             = 0
    audit_expiration_days = 30
    name                  = "detection-with-a-name-that-is-too-long"
  }

  expect_failures = [var.lock_mode, var.lock_days, var.audit_expiration_days, var.name]
}

# Each of these is measured against another, which has to be right by itself.
run "refuses_infrequent_access_before_its_time" {
  command = plan

  variables {
    database_infrequent_access_days = 10
  }

  expect_failures = [var.database_infrequent_access_days]
}

run "refuses_glacier_before_its_time" {
  command = plan

  variables {
    database_glacier_days = 40
  }

  expect_failures = [var.database_glacier_days]
}

run "refuses_to_expire_before_glacier" {
  command = plan

  variables {
    database_expiration_days = 60
  }

  expect_failures = [var.database_expiration_days]
}

run "refuses_to_expire_what_is_locked" {
  command = plan

  variables {
    lock_days                = 200
    database_expiration_days = 120
  }

  expect_failures = [var.lock_days]
}
