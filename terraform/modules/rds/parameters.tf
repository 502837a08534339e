# PostgreSQL's settings, in PostgreSQL's units: 8 kB pages, kB, ms, as each row says. RDS gives {DBInstanceClassMemory} in
# bytes, so memory in pages is a share of it: /8192 would be all of it, /32768 a quarter.

locals {
  # "static" ones need a restart, which the next maintenance window (or a person) gives.
  parameters = {
    "rds.force_ssl"                       = { value = "1", static = true } # no connection without TLS
    "max_connections"                     = { value = tostring(var.max_connections), static = true }
    "shared_buffers"                      = { value = "{DBInstanceClassMemory/32768}", static = true }  # 8 kB pages: 25 %
    "effective_cache_size"                = { value = "{DBInstanceClassMemory/16384}", static = false } # 8 kB pages: 50 %
    "work_mem"                            = { value = "8192", static = false }                          # kB: 8 MB
    "maintenance_work_mem"                = { value = "131072", static = false }                        # kB: 128 MB
    "synchronous_commit"                  = { value = "on", static = false }                            # 201 means: on disk
    "log_min_duration_statement"          = { value = "1000", static = false }                          # ms
    "log_connections"                     = { value = "1", static = false }
    "log_disconnections"                  = { value = "1", static = false }
    "log_lock_waits"                      = { value = "1", static = false }
    "idle_in_transaction_session_timeout" = { value = "60000", static = false } # ms: nobody holds the log's lock for ever
    "password_encryption"                 = { value = "scram-sha-256", static = false }
  }
}

resource "aws_db_parameter_group" "this" {
  name        = "${var.name}-postgres${var.engine_version}"
  family      = "postgres${var.engine_version}"
  description = "${var.name}: TLS only, sizes, logs"

  dynamic "parameter" {
    for_each = local.parameters

    content {
      name         = parameter.key
      value        = parameter.value.value
      apply_method = parameter.value.static ? "pending-reboot" : "immediate"
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}
