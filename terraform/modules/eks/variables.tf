variable "name" {
  description = "Name of the cluster."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,29}$", var.name))
    error_message = "The name is 3-30 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "kubernetes_version" {
  description = "Release of Kubernetes, for example 1.35; upgrades go one at a time. The chart wants 1.33 or later."
  type        = string
  default     = "1.35"

  validation {
    condition     = can(regex("^1\\.[0-9]+$", var.kubernetes_version)) && tonumber(trimprefix(var.kubernetes_version, "1.")) >= 33
    error_message = "1.33 or later, without a patch level."
  }
}

variable "vpc_id" {
  description = "VPC of the cluster."
  type        = string
}

variable "control_plane_subnet_ids" {
  description = "Private subnets of the control plane's interfaces, in two zones at least: EKS refuses one."
  type        = list(string)

  validation {
    condition     = length(var.control_plane_subnet_ids) >= 2
    error_message = "Subnets in two zones at least."
  }
}

variable "node_subnet_ids" {
  description = "Private subnets of the nodes: one for a single zone, else one in each zone."
  type        = list(string)

  validation {
    condition     = length(var.node_subnet_ids) >= 1
    error_message = "Nodes need a subnet."
  }
}

variable "cluster_role_arn" {
  description = "Role of the control plane."
  type        = string
}

variable "node_role_arn" {
  description = "Role of the nodes."
  type        = string
}

variable "addon_role_arns" {
  description = "Roles of the add-ons that speak to AWS: vpc-cni and aws-ebs-csi-driver."
  type        = map(string)

  validation {
    condition     = alltrue([for addon in ["vpc-cni", "aws-ebs-csi-driver"] : contains(keys(var.addon_role_arns), addon)])
    error_message = "Both vpc-cni and aws-ebs-csi-driver need a role."
  }
}

variable "pod_identities" {
  description = "Which service account gets which role."
  type        = map(object({ namespace = string, service_account = string, role_arn = string }))
  default     = {}
}

variable "access_entries" {
  description = "People and pipelines: a name -> role or user, and what it may do: cluster_admin (everywhere: for the first installation, and emergencies), edit or view (in the namespaces named)."
  type = map(object({
    principal_arn = string
    policy        = string
    namespaces    = optional(list(string), ["detection-system"])
  }))
  default = {}

  validation {
    condition     = alltrue([for entry in values(var.access_entries) : contains(["cluster_admin", "edit", "view"], entry.policy)])
    error_message = "The policy is cluster_admin, edit or view."
  }

  validation {
    condition     = alltrue([for entry in values(var.access_entries) : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/", entry.principal_arn))])
    error_message = "A principal is the ARN of an IAM role or user (not of a session, not an account's root)."
  }
}

variable "api_public_cidrs" {
  description = "Networks that reach the Kubernetes API over the internet. None (the default): it has no public endpoint."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.api_public_cidrs : can(cidrhost(cidr, 0)) && tonumber(split("/", cidr)[1]) >= 24])
    error_message = "Networks of /24 or smaller: the world is not one of them."
  }
}

variable "api_private_cidrs" {
  description = "Networks that reach the Kubernetes API inside: a VPN, a peered VPC."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.api_private_cidrs : can(cidrhost(cidr, 0)) && tonumber(split("/", cidr)[1]) >= 8])
    error_message = "Networks of /8 or smaller."
  }
}

variable "node_instance_type" {
  description = "Kind of machine, for example t3.large."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9]+$", var.node_instance_type)) && !can(regex("\\.(nano|micro|small)$", var.node_instance_type))
    error_message = "A type like t3.large; nothing smaller than medium holds the add-ons and a pod."
  }
}

variable "node_min" {
  description = "Least nodes."
  type        = number

  validation {
    condition     = var.node_min >= 1
    error_message = "At least one."
  }
}

variable "node_desired" {
  description = "Nodes now. Terraform keeps this number: nothing here scales nodes by load."
  type        = number
}

variable "node_max" {
  description = "Most nodes."
  type        = number
}

variable "node_disk_gb" {
  description = "Disk of a node in GiB: images, logs, and the spools of its pods."
  type        = number
  default     = 50

  validation {
    condition     = var.node_disk_gb >= 30
    error_message = "At least 30 GiB."
  }
}

variable "max_pods_per_node" {
  description = "Pods on one node, over what its network interfaces give by default (t3.medium: 17). Null: the default."
  type        = number
  default     = null

  validation {
    condition     = var.max_pods_per_node == null ? true : var.max_pods_per_node >= 17 && var.max_pods_per_node <= 110
    error_message = "17 to 110."
  }
}

variable "node_tags" {
  description = "Tags of the nodes, their disks and interfaces (the provider's default tags do not reach what a launch template starts)."
  type        = map(string)
  default     = {}
}

variable "addon_versions" {
  description = "Versions of add-ons, by name. Without one: the default of EKS for this Kubernetes, chosen when the add-on is made."
  type        = map(string)
  default     = {}
}

variable "log_retention_days" {
  description = "Days that the control plane's log is kept, the audit log with it."
  type        = number
  default     = 90

  validation {
    condition     = contains([90, 120, 150, 180, 365], var.log_retention_days)
    error_message = "At least 90 days, of those that CloudWatch offers: 90, 120, 150, 180, 365."
  }
}
