variable "region" {
  description = "Region of everything."
  type        = string
  default     = "us-east-1"
}

variable "availability_zones" {
  description = "Three zones of the region, in a fixed order: the first is that of single things."
  type        = list(string)
  default     = ["us-east-1a", "us-east-1b", "us-east-1c"]

  validation {
    condition     = length(var.availability_zones) == 3 && alltrue([for zone in var.availability_zones : startswith(zone, var.region)])
    error_message = "Three zones of the region: the chart names three database subnets."
  }
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

variable "access_entries" {
  description = "Who may use the Kubernetes API: name -> {principal_arn, policy: cluster_admin, edit or view, namespaces}."
  type = map(object({
    principal_arn = string
    policy        = string
    namespaces    = optional(list(string), ["detection-system"])
  }))
  default = {}
}

variable "api_public_cidrs" {
  description = "Networks of /24 or smaller that reach the Kubernetes API over the internet. None: no public endpoint."
  type        = list(string)
  default     = []
}

variable "api_private_cidrs" {
  description = "Networks that reach the Kubernetes API inside: a VPN, a peered VPC."
  type        = list(string)
  default     = []
}

variable "alarm_topic_arns" {
  description = "SNS topics that are told of the database's alarms."
  type        = list(string)
  default     = []
}

variable "addon_versions" {
  description = "Versions of the cluster's add-ons, by name. Without one: EKS's default when it is made."
  type        = map(string)
  default     = {}
}

variable "permissions_boundary_arn" {
  description = "Permissions boundary of the roles, where the account demands one."
  type        = string
  default     = null
}

variable "deletion_protection" {
  description = "Refuse to delete the database. False only to take the environment down."
  type        = bool
  default     = true
}
