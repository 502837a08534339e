variable "name" {
  description = "Name of the environment's things, for example detection-prod."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,29}$", var.name))
    error_message = "The name is 3-30 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "cidr" {
  description = "Addresses of the VPC, a /16: its /24s are laid out by purpose."
  type        = string

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && endswith(var.cidr, ".0.0/16")
    error_message = "The VPC is a /16 that ends in .0.0/16, for example 10.10.0.0/16."
  }
}

variable "availability_zones" {
  description = "Zones that get subnets, in a fixed order: the first holds the only NAT gateway where there is one. Two at least (EKS and RDS refuse one)."
  type        = list(string)

  validation {
    condition     = length(var.availability_zones) >= 2 && length(var.availability_zones) <= 3 && length(distinct(var.availability_zones)) == length(var.availability_zones)
    error_message = "Two or three different zones."
  }
}

variable "nat_per_zone" {
  description = "A NAT gateway in every zone (the loss of one zone leaves the others their way out) instead of one in the first."
  type        = bool
}

variable "interface_endpoints" {
  description = "AWS services reached inside the VPC by an interface endpoint, by the last part of the service's name (sts, ecr.api). Each costs by zone and hour."
  type        = set(string)
  default     = []

  validation {
    condition     = !contains(var.interface_endpoints, "s3")
    error_message = "S3 has its gateway endpoint already, which costs nothing."
  }
}

variable "flow_log_retention_days" {
  description = "Days that flow logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = contains([90, 120, 150, 180, 365], var.flow_log_retention_days)
    error_message = "At least 90 days, of those that CloudWatch offers: 90, 120, 150, 180, 365."
  }
}
