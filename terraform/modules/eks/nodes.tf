# The nodes. Their own security group says only "this is a node": the database lets it in.

resource "aws_security_group" "node" {
  name        = "${var.name}-node"
  description = "Says that a machine is a node of ${var.name}; its rules are those of the cluster's own group"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-node" }
}

locals {
  # More pods than the machine has addresses by default: prefixes of 16 instead of single ones.
  prefixes = var.max_pods_per_node != null

  node_config = <<-MIME
    MIME-Version: 1.0
    Content-Type: multipart/mixed; boundary="BOUNDARY"

    --BOUNDARY
    Content-Type: application/node.eks.aws

    ---
    apiVersion: node.eks.aws/v1alpha1
    kind: NodeConfig
    spec:
      kubelet:
        config:
          maxPods: ${coalesce(var.max_pods_per_node, 0)}

    --BOUNDARY--
  MIME
}

resource "aws_launch_template" "node" {
  name                   = "${var.name}-node"
  update_default_version = true
  vpc_security_group_ids = [aws_security_group.node.id, aws_eks_cluster.this.vpc_config[0].cluster_security_group_id]
  user_data              = local.prefixes ? base64encode(local.node_config) : null

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_type           = "gp3"
      volume_size           = var.node_disk_gb
      encrypted             = true # by the account's key aws/ebs: the scaling group's own role could not use a key of ours
      delete_on_termination = true
    }
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1 # pods do not reach it: the node's role is not theirs
    instance_metadata_tags      = "disabled"
  }

  monitoring {
    enabled = true
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "volume", "network-interface"])

    content {
      resource_type = tag_specifications.key
      tags          = merge(var.node_tags, { Name = "${var.name}-node" })
    }
  }
}

resource "aws_eks_node_group" "this" {
  cluster_name    = aws_eks_cluster.this.name
  node_group_name = "${var.name}-main"
  node_role_arn   = var.node_role_arn
  subnet_ids      = var.node_subnet_ids
  version         = aws_eks_cluster.this.version
  ami_type        = "AL2023_x86_64_STANDARD"
  capacity_type   = "ON_DEMAND"
  instance_types  = [var.node_instance_type]

  scaling_config {
    min_size     = var.node_min
    desired_size = var.node_desired
    max_size     = var.node_max
  }

  update_config {
    max_unavailable = 1
  }

  launch_template {
    id      = aws_launch_template.node.id
    version = aws_launch_template.node.latest_version
  }

  lifecycle {
    precondition {
      condition     = var.node_min <= var.node_desired && var.node_desired <= var.node_max
      error_message = "node_min <= node_desired <= node_max."
    }
  }

  # Without the network plug-in a node never gets ready. No taints: the chart has no toleration.
  depends_on = [aws_eks_addon.before_nodes]
}
