variable "name" {
  description = "Name of the environment's things, and the instance's identifier."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,29}$", var.name)) && !strcontains(var.name, "--") && !endswith(var.name, "-")
    error_message = "The name is 3-30 lower-case letters, digits and single hyphens, begins with a letter, and does not end with a hyphen."
  }
}

variable "vpc_id" {
  description = "VPC of the database."
  type        = string
}

variable "subnet_ids" {
  description = "Database subnets, in two zones at least: RDS refuses one, even for one server."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "Subnets in two zones at least."
  }
}

variable "node_security_group_id" {
  description = "Security group of the nodes: the only one that may connect."
  type        = string
}

variable "engine_version" {
  description = "Major version of PostgreSQL; minor ones come in the maintenance window."
  type        = string
  default     = "16"

  validation {
    condition     = contains(["15", "16", "17"], var.engine_version)
    error_message = "15, 16 or 17, without a minor version."
  }
}

variable "instance_class" {
  description = "Size of the server, for example db.t4g.medium."
  type        = string

  validation {
    condition     = can(regex("^db\\.[a-z0-9]+\\.[a-z0-9]+$", var.instance_class)) && !can(regex("\\.(micro|small)$", var.instance_class))
    error_message = "A class like db.t4g.medium. Micro and small have too little memory for 200 connections."
  }
}

variable "storage_gb" {
  description = "Storage at first, in GiB (gp3)."
  type        = number

  validation {
    condition     = var.storage_gb >= 20 && floor(var.storage_gb) == var.storage_gb
    error_message = "At least 20 GiB, whole."
  }
}

variable "storage_max_gb" {
  description = "Storage to which RDS may grow it by itself, in GiB."
  type        = number

  validation {
    condition     = var.storage_max_gb >= 1.1 * var.storage_gb
    error_message = "RDS wants at least 10 % more than storage_gb."
  }
}

variable "multi_az" {
  description = "A synchronous standby in another zone, which takes over by itself."
  type        = bool
}

variable "availability_zone" {
  description = "Zone of the server where there is one only: that of the nodes, since traffic between zones is paid for. Null: RDS chooses."
  type        = string
  default     = null
}

variable "read_replica" {
  description = "A read replica beside it, with an alarm on its lag. The service does not read from it; it is for reports."
  type        = bool
  default     = false
}

variable "backup_retention_days" {
  description = "Days to which the database can be put back, to the second."
  type        = number

  validation {
    condition     = var.backup_retention_days >= 7 && var.backup_retention_days <= 35
    error_message = "7 to 35 days: without backups there is no point-in-time recovery, and RDS keeps 35 at most."
  }
}

variable "deletion_protection" {
  description = "Refuse to delete the instance; its automated backups outlive it too."
  type        = bool
}

variable "skip_final_snapshot" {
  description = "Delete without a last snapshot: only where the data is worth nothing."
  type        = bool
  default     = false

  validation {
    condition     = !(var.skip_final_snapshot && var.deletion_protection)
    error_message = "What is protected from deletion is worth a last snapshot."
  }
}

variable "database_name" {
  description = "Database, as the chart's database.name."
  type        = string
  default     = "detections"
}

variable "master_username" {
  description = "Role that makes the service's own roles (docs/replicas.md) and is not used by the service."
  type        = string
  default     = "detection_admin"

  validation {
    condition     = !contains(["postgres", "admin", "rdsadmin"], var.master_username)
    error_message = "Not a name that everybody would try, nor RDS's own."
  }
}

variable "max_connections" {
  description = "PostgreSQL's max_connections: six for each pod of both slots at their maximum and surge, and some for people."
  type        = number
  default     = 200

  validation {
    condition     = var.max_connections >= 100 && var.max_connections <= 5000
    error_message = "100 to 5000."
  }
}

variable "log_retention_days" {
  description = "Days that PostgreSQL's log is kept."
  type        = number
  default     = 90

  validation {
    condition     = contains([14, 30, 60, 90, 180, 365], var.log_retention_days)
    error_message = "One of 14, 30, 60, 90, 180, 365."
  }
}

variable "alarm_topic_arns" {
  description = "SNS topics that are told of alarms; none: the alarms are seen in CloudWatch only."
  type        = list(string)
  default     = []
}
