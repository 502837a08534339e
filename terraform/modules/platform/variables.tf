variable "environment" {
  description = "dev, staging or prod: part of every name."
  type        = string

  validation {
    condition     = contains(["dev", "staging", "prod"], var.environment)
    error_message = "dev, staging or prod."
  }
}

variable "tags" {
  description = "Tags that the provider's default tags hold as well; here for what a launch template starts."
  type        = map(string)
}

variable "cidr" {
  description = "Addresses of the VPC (/16)."
  type        = string
}

variable "availability_zones" {
  description = "Zones with subnets, in a fixed order."
  type        = list(string)
}

variable "node_zone_count" {
  description = "Zones in which nodes stand, the first ones: 1, or all."
  type        = number

  validation {
    condition     = var.node_zone_count >= 1 && var.node_zone_count <= length(var.availability_zones)
    error_message = "At least one zone, at most those that have subnets."
  }
}

variable "nat_per_zone" {
  description = "A NAT gateway in every zone instead of one."
  type        = bool

  validation {
    condition     = !var.nat_per_zone || var.node_zone_count == length(var.availability_zones)
    error_message = "A NAT gateway in a zone without nodes is paid for nothing."
  }
}

variable "interface_endpoints" {
  description = "AWS services reached inside the VPC."
  type        = set(string)
  default     = []
}

variable "nodes" {
  description = "Kind and number of the nodes; max_pods over the kind's own limit, or null."
  type = object({
    instance_type = string
    min           = number
    desired       = number
    max           = number
    max_pods      = optional(number)
  })
}

variable "database" {
  description = "Size and care of PostgreSQL."
  type = object({
    instance_class        = string
    storage_gb            = number
    storage_max_gb        = number
    multi_az              = bool
    backup_retention_days = number
    deletion_protection   = bool
    skip_final_snapshot   = optional(bool, false)
  })
}

variable "backup_lock" {
  description = "Object lock of the backup bucket."
  type        = object({ mode = string, days = number })
}

variable "kubernetes_version" {
  description = "Release of Kubernetes."
  type        = string
  default     = "1.35"
}

variable "addon_versions" {
  description = "Versions of the cluster's add-ons, by name."
  type        = map(string)
  default     = {}
}

variable "access_entries" {
  description = "Who may use the Kubernetes API, see modules/eks."
  type = map(object({
    principal_arn = string
    policy        = string
    namespaces    = optional(list(string), ["detection-system"])
  }))
  default = {}
}

variable "api_public_cidrs" {
  description = "Networks that reach the Kubernetes API over the internet; none: no public endpoint."
  type        = list(string)
  default     = []
}

variable "api_private_cidrs" {
  description = "Networks that reach the Kubernetes API inside (VPN, peered VPC)."
  type        = list(string)
  default     = []
}

variable "alarm_topic_arns" {
  description = "SNS topics that are told of the database's alarms."
  type        = list(string)
  default     = []
}

variable "permissions_boundary_arn" {
  description = "Permissions boundary of the roles, where the account demands one."
  type        = string
  default     = null
}
