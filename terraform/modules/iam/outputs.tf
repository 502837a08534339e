output "cluster_role_arn" {
  description = "Role of the EKS control plane."
  value       = aws_iam_role.this["cluster"].arn

  # Without its policy the cluster could not remove what it made: so who takes the role waits for it.
  depends_on = [aws_iam_role_policy_attachment.managed]
}

output "node_role_arn" {
  description = "Role of the nodes."
  value       = aws_iam_role.this["node"].arn

  depends_on = [aws_iam_role_policy_attachment.managed]
}

output "addon_role_arns" {
  description = "Roles of the add-ons that speak to AWS: add-on -> ARN."
  value = {
    "aws-ebs-csi-driver" = aws_iam_role.this["ebs_csi"].arn
    "vpc-cni"            = aws_iam_role.this["vpc_cni"].arn
  }

  depends_on = [aws_iam_role_policy_attachment.managed]
}

output "pod_identities" {
  description = "Associations for the cluster, NAMESPACE/SERVICE-ACCOUNT -> role; the add-ons bring their own."
  value = merge([
    for name in ["argocd", "application", "backup"] : {
      for account in local.subjects[name].service_accounts : "${local.subjects[name].namespace}/${account}" => {
        namespace       = local.subjects[name].namespace
        service_account = account
        role_arn        = aws_iam_role.this[name].arn
      }
    }
  ]...)
}

output "role_arns" {
  description = "Every role by its purpose."
  value       = { for name, role in aws_iam_role.this : name => role.arn }
}
