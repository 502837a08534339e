# Roles. AWS's own managed policies where EKS asks for them by name; else what the thing does, on the things it does it to.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account    = data.aws_caller_identity.current.account_id
  arn_prefix = "arn:${data.aws_partition.current.partition}"
  region     = data.aws_region.current.name

  cluster_arn = "${local.arn_prefix}:eks:${local.region}:${local.account}:cluster/${var.cluster_name}"

  # Who may be what, by Pod Identity: a role for each, its subjects exactly these.
  subjects = {
    argocd      = var.argocd
    application = var.application
    backup      = var.backup
    ebs_csi     = { namespace = "kube-system", service_accounts = ["ebs-csi-controller-sa"] }
    vpc_cni     = { namespace = "kube-system", service_accounts = ["aws-node"] }
  }

  # A pod becomes a role only from this cluster, this namespace, this service account.
  pod_trust = {
    for name, subject in local.subjects : name => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Sid       = "PodIdentity"
        Effect    = "Allow"
        Principal = { Service = "pods.eks.amazonaws.com" }
        Action    = ["sts:AssumeRole", "sts:TagSession"]
        Condition = {
          StringEquals = {
            "aws:SourceAccount"                         = local.account
            "aws:RequestTag/kubernetes-namespace"       = subject.namespace
            "aws:RequestTag/kubernetes-service-account" = subject.service_accounts
          }
          ArnEquals = { "aws:SourceArn" = local.cluster_arn }
        }
      }]
    })
  }

  service_trust = {
    for name, service in { cluster = "eks.amazonaws.com", node = "ec2.amazonaws.com" } : name => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Service = service }
        Action    = "sts:AssumeRole"
      }]
    })
  }

  managed = {
    cluster = ["AmazonEKSClusterPolicy"]
    node = [
      "AmazonEKSWorkerNodePolicy",
      "AmazonEC2ContainerRegistryPullOnly",
      "AmazonSSMManagedInstanceCore", # the way in where the API has no public address: no SSH, no bastion
    ]
    ebs_csi = ["service-role/AmazonEBSCSIDriverPolicy"]
    vpc_cni = ["AmazonEKS_CNI_Policy"]
  }

  attachments = merge([
    for role, policies in local.managed : { for policy in policies : "${role}/${policy}" => { role = role, policy = policy } }
  ]...)
}

resource "aws_iam_role" "this" {
  for_each = merge(local.service_trust, local.pod_trust)

  name                 = "${var.name}-${replace(each.key, "_", "-")}"
  description          = "${var.name}: ${replace(each.key, "_", " ")}"
  assume_role_policy   = each.value
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_role_policy_attachment" "managed" {
  for_each = local.attachments

  role       = aws_iam_role.this[each.value.role].name
  policy_arn = "${local.arn_prefix}:iam::aws:policy/${each.value.policy}"
}
