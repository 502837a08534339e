output "cluster_name" {
  description = "Name, for aws eks update-kubeconfig."
  value       = aws_eks_cluster.this.name
}

output "cluster_endpoint" {
  description = "The Kubernetes API."
  value       = aws_eks_cluster.this.endpoint
}

output "cluster_certificate_authority" {
  description = "Its authority, base64."
  value       = aws_eks_cluster.this.certificate_authority[0].data
}

output "cluster_version" {
  description = "Release of Kubernetes."
  value       = aws_eks_cluster.this.version
}

output "cluster_security_group_id" {
  description = "The cluster's own security group: control plane and nodes."
  value       = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
}

output "node_security_group_id" {
  description = "Security group that says \"this is a node\"."
  value       = aws_security_group.node.id
}

output "oidc_provider_arn" {
  description = "OpenID Connect provider of the cluster, for IRSA."
  value       = aws_iam_openid_connect_provider.this.arn
}

output "oidc_issuer" {
  description = "Its issuer, without https://."
  value       = trimprefix(aws_eks_cluster.this.identity[0].oidc[0].issuer, "https://")
}

output "key_arn" {
  description = "KMS key of the cluster's secrets and log."
  value       = aws_kms_key.this.arn
}

output "nodes" {
  description = "What runs: kind of machine, least, wanted and most nodes, subnets they stand in."
  value = {
    instance_type = one(aws_eks_node_group.this.instance_types)
    min           = aws_eks_node_group.this.scaling_config[0].min_size
    desired       = aws_eks_node_group.this.scaling_config[0].desired_size
    max           = aws_eks_node_group.this.scaling_config[0].max_size
    subnets       = length(var.node_subnet_ids)
  }
}

output "public_api" {
  description = "Whether the Kubernetes API has a public endpoint."
  value       = aws_eks_cluster.this.vpc_config[0].endpoint_public_access
}
