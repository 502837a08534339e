variable "name" {
  description = "Name of the environment's things; account and region are added, since a bucket's name is the world's."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,23}$", var.name))
    error_message = "The name is 3-24 lower-case letters, digits and hyphens (a bucket's name has 63 at most), and begins with a letter."
  }
}

variable "lock_mode" {
  description = "Object lock: GOVERNANCE (who has the right may still delete) or COMPLIANCE (nobody can, the account's root neither)."
  type        = string

  validation {
    condition     = contains(["GOVERNANCE", "COMPLIANCE"], var.lock_mode)
    error_message = "GOVERNANCE or COMPLIANCE."
  }
}

variable "lock_days" {
  description = "Days that nothing written can be deleted or written over."
  type        = number

  validation {
    condition     = var.lock_days >= 1 && var.lock_days <= 365 && floor(var.lock_days) == var.lock_days
    error_message = "1 to 365 whole days."
  }

  validation {
    condition     = var.lock_days <= var.database_expiration_days
    error_message = "A snapshot may not expire while it is locked."
  }
}

variable "database_infrequent_access_days" {
  description = "Days until a snapshot goes to the cheaper class STANDARD_IA."
  type        = number
  default     = 30

  validation {
    condition     = var.database_infrequent_access_days >= 30
    error_message = "S3 takes objects into STANDARD_IA after 30 days at the earliest."
  }
}

variable "database_glacier_days" {
  description = "Days until a snapshot goes to GLACIER (hours until it can be read)."
  type        = number
  default     = 90

  validation {
    condition     = var.database_glacier_days >= var.database_infrequent_access_days + 30
    error_message = "STANDARD_IA is paid for 30 days at least: GLACIER comes no sooner."
  }
}

variable "database_expiration_days" {
  description = "Days until a snapshot expires."
  type        = number
  default     = 365

  validation {
    condition     = var.database_expiration_days > var.database_glacier_days
    error_message = "Expiry comes after GLACIER."
  }
}

variable "audit_expiration_days" {
  description = "Days that the audit trail is kept."
  type        = number
  default     = 2555

  validation {
    condition     = var.audit_expiration_days >= 90
    error_message = "The audit trail is kept for 90 days at least."
  }
}
