# Add-ons that EKS keeps. Those that speak to AWS bring their role by Pod Identity.

locals {
  before_nodes = {
    "eks-pod-identity-agent" = {}
    "kube-proxy"             = {}
    "vpc-cni" = {
      enableNetworkPolicy = "true" # the chart's policies are worth nothing without
      env                 = { ENABLE_PREFIX_DELEGATION = tostring(local.prefixes), WARM_PREFIX_TARGET = "1" }
    }
  }

  after_nodes = {
    "coredns"            = {}
    "metrics-server"     = {} # the chart's autoscalers read it
    "aws-ebs-csi-driver" = {}
  }

  # The service account of each add-on that has a role.
  addon_accounts = { "vpc-cni" = "aws-node", "aws-ebs-csi-driver" = "ebs-csi-controller-sa" }
}

resource "aws_eks_addon" "before_nodes" {
  for_each = local.before_nodes

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = lookup(var.addon_versions, each.key, null)
  configuration_values        = length(each.value) > 0 ? jsonencode(each.value) : null
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "PRESERVE"

  dynamic "pod_identity_association" {
    for_each = { for addon, account in local.addon_accounts : addon => account if addon == each.key }

    content {
      service_account = pod_identity_association.value
      role_arn        = var.addon_role_arns[each.key]
    }
  }
}

resource "aws_eks_addon" "after_nodes" {
  for_each = local.after_nodes

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = lookup(var.addon_versions, each.key, null)
  configuration_values        = length(each.value) > 0 ? jsonencode(each.value) : null
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "PRESERVE"

  dynamic "pod_identity_association" {
    for_each = { for addon, account in local.addon_accounts : addon => account if addon == each.key }

    content {
      service_account = pod_identity_association.value
      role_arn        = var.addon_role_arns[each.key]
    }
  }

  depends_on = [aws_eks_node_group.this]
}
