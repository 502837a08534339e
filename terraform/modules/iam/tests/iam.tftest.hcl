# The provider is mocked: what it would compute is given where a random word will not do. Policies are never mocked: the
# modules render them.
mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_region" {
    defaults = { name = "us-east-1" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }
}

variables {
  name              = "detection-test"
  cluster_name      = "detection-test"
  backup_bucket_arn = "arn:aws:s3:::detection-test-backup"
  backup_key_arn    = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-1111-1111-111111111111"
}

run "roles" {
  assert {
    condition     = keys(aws_iam_role.this) == ["application", "argocd", "backup", "cluster", "ebs_csi", "node", "vpc_cni"]
    error_message = "One role for each purpose."
  }

  # Who may take them.
  assert {
    condition     = jsondecode(aws_iam_role.this["cluster"].assume_role_policy).Statement[0].Principal == { Service = "eks.amazonaws.com" }
    error_message = "The control plane's role is EKS's."
  }

  assert {
    condition     = jsondecode(aws_iam_role.this["node"].assume_role_policy).Statement[0].Principal == { Service = "ec2.amazonaws.com" }
    error_message = "The nodes' role is EC2's."
  }

  assert {
    condition = alltrue([for name in ["application", "argocd", "backup", "ebs_csi", "vpc_cni"] :
      jsondecode(aws_iam_role.this[name].assume_role_policy).Statement[0].Principal == { Service = "pods.eks.amazonaws.com" } &&
      jsondecode(aws_iam_role.this[name].assume_role_policy).Statement[0].Condition.ArnEquals["aws:SourceArn"] == "arn:aws:eks:us-east-1:123456789012:cluster/detection-test" &&
    jsondecode(aws_iam_role.this[name].assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"])
    error_message = "A pod's role is taken from this cluster of this account only."
  }

  assert {
    condition = [for name in ["application", "argocd", "backup", "ebs_csi", "vpc_cni"] : [
      jsondecode(aws_iam_role.this[name].assume_role_policy).Statement[0].Condition.StringEquals["aws:RequestTag/kubernetes-namespace"],
      jsondecode(aws_iam_role.this[name].assume_role_policy).Statement[0].Condition.StringEquals["aws:RequestTag/kubernetes-service-account"],
      ]] == [
      ["detection-system", ["detection-api"]], ["argocd", ["argocd-repo-server"]], ["detection-system", ["detection-backup"]],
      ["kube-system", ["ebs-csi-controller-sa"]], ["kube-system", ["aws-node"]],
    ]
    error_message = "Each role has exactly its service account."
  }

  # What they may do.
  assert {
    condition = alltrue(flatten([for policy in aws_iam_role_policy.this : [for one in jsondecode(policy.policy).Statement : [
    for action in flatten([one.Action]) : !strcontains(action, "*") && !strcontains(action, "Delete") && !startswith(action, "iam:")]]]))
    error_message = "No wildcard among the actions, no deletion, nothing of IAM."
  }

  assert {
    condition = alltrue(flatten([for policy in aws_iam_role_policy.this : [for one in jsondecode(policy.policy).Statement :
    one.Resource != "*" || one.Action == "ecr:GetAuthorizationToken"]]))
    error_message = "Every statement names its resource, but the one action that has none."
  }

  assert {
    condition = [for one in jsondecode(aws_iam_role_policy.this["application"].policy).Statement : [one.Action, one.Resource] if can(regex("s3:", one.Action))] == [
    ["s3:PutObject", "arn:aws:s3:::detection-test-backup/audit/*"]]
    error_message = "The application adds to the audit archive and reads nothing."
  }

  assert {
    condition = alltrue([for one in jsondecode(aws_iam_role_policy.this["backup"].policy).Statement :
    one.Resource == "arn:aws:s3:::detection-test-backup/database/*" if one.Sid == "WriteAndReadSnapshots"])
    error_message = "The backup sees database/ only."
  }

  assert {
    condition = [for one in jsondecode(aws_iam_role_policy.this["backup"].policy).Statement : one.Condition.StringLike["s3:prefix"] if one.Sid == "ListSnapshots"] == [
    ["database/", "database/*"]]
    error_message = "Nor does it list anything else."
  }

  assert {
    condition = alltrue(flatten([for name in ["application", "backup"] : [for one in jsondecode(aws_iam_role_policy.this[name].policy).Statement :
    one.Resource == var.backup_key_arn && one.Condition.StringEquals["kms:ViaService"] == "s3.us-east-1.amazonaws.com" if strcontains(jsonencode(one.Action), "kms:")]]))
    error_message = "The key only by way of S3."
  }

  assert {
    condition     = alltrue([for one in jsondecode(aws_iam_role_policy.this["argocd"].policy).Statement : one.Resource == "arn:aws:ecr:us-east-1:123456789012:repository/detection-system/*" if one.Resource != "*"])
    error_message = "Argo CD reads the project's repositories only."
  }

  assert {
    condition     = keys(aws_iam_role_policy.this) == ["application", "argocd", "backup"]
    error_message = "No other role has a policy of ours."
  }

  assert {
    condition = toset([for attachment in aws_iam_role_policy_attachment.managed : attachment.policy_arn]) == toset([
      "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy", "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy",
      "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly", "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
      "arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy", "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy",
    ])
    error_message = "AWS's own policies are these six."
  }

  assert {
    condition     = keys(output.pod_identities) == ["argocd/argocd-repo-server", "detection-system/detection-api", "detection-system/detection-backup"]
    error_message = "The cluster gets these associations."
  }
}

run "refuses" {
  command = plan

  variables {
    backup_bucket_arn = "detection-test-backup"
    backup_key_arn    = "alias/detection-test-backup"
    application       = { namespace = "detection-system", service_accounts = ["*"] }
    backup            = { namespace = "*", service_accounts = ["detection-backup"] }
    argocd            = { namespace = "argocd", service_accounts = [] }
    name              = "9-detection"
  }

  expect_failures = [var.backup_bucket_arn, var.backup_key_arn, var.application, var.backup, var.argocd, var.name]
}
