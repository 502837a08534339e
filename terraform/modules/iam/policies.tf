# What the project's own roles may do. Nobody may delete anything or touch another bucket, key or repository.

locals {
  # KMS only as S3's helper, and only for this bucket.
  via_s3 = {
    StringEquals = { "kms:ViaService" = "s3.${local.region}.amazonaws.com" }
    # With a bucket key the encryption context is the bucket, not the object.
    StringLike = { "kms:EncryptionContext:aws:s3:arn" = [var.backup_bucket_arn, "${var.backup_bucket_arn}/*"] }
  }

  policies = {
    # Charts and images of this project in the account's registry; read only.
    argocd = [
      {
        Sid      = "SignInToTheRegistry"
        Effect   = "Allow"
        Action   = "ecr:GetAuthorizationToken" # has no resource to name
        Resource = "*"
      },
      {
        Sid      = "ReadTheProjectsImagesAndCharts"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"]
        Resource = "${local.arn_prefix}:ecr:${local.region}:${local.account}:repository/detection-system/*"
      },
    ]

    # The service hands its audit trail over for keeping; it can read none of it back.
    application = [
      {
        Sid      = "AddToTheAuditArchive"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "${var.backup_bucket_arn}/audit/*"
      },
      {
        Sid       = "EncryptWhatItAdds"
        Effect    = "Allow"
        Action    = ["kms:GenerateDataKey", "kms:Decrypt"] # Decrypt: the parts of a multipart upload
        Resource  = var.backup_key_arn
        Condition = local.via_s3
      },
    ]

    # Snapshots: written, listed, and read back for the restore test. The lock and the lifecycle remove them, not this role.
    backup = [
      {
        Sid      = "WriteAndReadSnapshots"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:GetObject", "s3:GetObjectVersion", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
        Resource = "${var.backup_bucket_arn}/database/*"
      },
      {
        Sid       = "ListSnapshots"
        Effect    = "Allow"
        Action    = ["s3:ListBucket", "s3:ListBucketVersions"]
        Resource  = var.backup_bucket_arn
        Condition = { StringLike = { "s3:prefix" = ["database/", "database/*"] } }
      },
      {
        Sid       = "EncryptAndDecryptSnapshots"
        Effect    = "Allow"
        Action    = ["kms:GenerateDataKey", "kms:Decrypt"]
        Resource  = var.backup_key_arn
        Condition = local.via_s3
      },
    ]
  }
}

resource "aws_iam_role_policy" "this" {
  for_each = local.policies

  name   = "${var.name}-${each.key}"
  role   = aws_iam_role.this[each.key].id
  policy = jsonencode({ Version = "2012-10-17", Statement = each.value })
}
