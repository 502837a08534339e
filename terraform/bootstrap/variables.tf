variable "region" {
  description = "Region of the bucket."
  type        = string
  default     = "us-east-1"
}

variable "account_id" {
  description = "Account that this is for; any other is refused. Null: whatever the credentials lead to."
  type        = string
  default     = null

  validation {
    condition     = var.account_id == null ? true : can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account has 12 digits."
  }
}

variable "bucket" {
  description = "Name of the bucket. Null: detection-terraform-state-ACCOUNT-REGION."
  type        = string
  default     = null
}
