variable "name" {
  description = "Name of the environment's things; every role begins with it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,29}$", var.name))
    error_message = "The name is 3-30 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "cluster_name" {
  description = "Name of the EKS cluster whose pods may take the roles. A name, not the cluster: the cluster itself needs two of these roles."
  type        = string
}

variable "backup_bucket_arn" {
  description = "ARN of the backup bucket."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:s3:::[a-z0-9.-]+$", var.backup_bucket_arn))
    error_message = "This is not the ARN of a bucket."
  }
}

variable "backup_key_arn" {
  description = "ARN of the KMS key of the backup bucket."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.backup_key_arn))
    error_message = "This is not the ARN of a KMS key."
  }
}

variable "application" {
  description = "Namespace and service accounts of the service, as the chart names them."
  type        = object({ namespace = string, service_accounts = list(string) })
  default     = { namespace = "detection-system", service_accounts = ["detection-api"] }

  validation {
    condition     = length(var.application.service_accounts) > 0 && !contains(concat([var.application.namespace], var.application.service_accounts), "*")
    error_message = "Service accounts are named one by one: no wildcard, not none."
  }
}

variable "backup" {
  description = "Namespace and service accounts of the backup job."
  type        = object({ namespace = string, service_accounts = list(string) })
  default     = { namespace = "detection-system", service_accounts = ["detection-backup"] }

  validation {
    condition     = length(var.backup.service_accounts) > 0 && !contains(concat([var.backup.namespace], var.backup.service_accounts), "*")
    error_message = "Service accounts are named one by one: no wildcard, not none."
  }
}

variable "argocd" {
  description = "Namespace and service accounts of Argo CD: the part that reads repositories and registries."
  type        = object({ namespace = string, service_accounts = list(string) })
  default     = { namespace = "argocd", service_accounts = ["argocd-repo-server"] }

  validation {
    condition     = length(var.argocd.service_accounts) > 0 && !contains(concat([var.argocd.namespace], var.argocd.service_accounts), "*")
    error_message = "Service accounts are named one by one: no wildcard, not none."
  }
}

variable "permissions_boundary_arn" {
  description = "Permissions boundary of every role, where the account demands one."
  type        = string
  default     = null
}
