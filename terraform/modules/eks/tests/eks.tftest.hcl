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

  mock_resource "aws_kms_key" {
    defaults = {
      arn    = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
      key_id = "00000000-0000-0000-0000-000000000000"
    }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:mocked" }
  }

  mock_resource "aws_launch_template" {
    defaults = { id = "lt-00000000000000000", latest_version = 1 }
  }

  mock_resource "aws_eks_cluster" {
    defaults = {
      arn                   = "arn:aws:eks:us-east-1:123456789012:cluster/mocked"
      endpoint              = "https://mocked.eks.amazonaws.com"
      certificate_authority = [{ data = "bW9ja2Vk" }]
      identity              = [{ oidc = [{ issuer = "https://oidc.eks.us-east-1.amazonaws.com/id/MOCKED" }] }]
    }
  }
}

variables {
  name                     = "detection-test"
  vpc_id                   = "vpc-00000000"
  control_plane_subnet_ids = ["subnet-1", "subnet-2", "subnet-3"]
  node_subnet_ids          = ["subnet-1"]
  cluster_role_arn         = "arn:aws:iam::123456789012:role/cluster"
  node_role_arn            = "arn:aws:iam::123456789012:role/node"
  addon_role_arns = {
    "vpc-cni"            = "arn:aws:iam::123456789012:role/cni"
    "aws-ebs-csi-driver" = "arn:aws:iam::123456789012:role/csi"
  }
  pod_identities = {
    "detection-system/detection-api" = {
      namespace       = "detection-system"
      service_account = "detection-api"
      role_arn        = "arn:aws:iam::123456789012:role/application"
    }
  }
  access_entries = {
    installer = { principal_arn = "arn:aws:iam::123456789012:role/installer", policy = "cluster_admin" }
    operators = { principal_arn = "arn:aws:iam::123456789012:role/operators", policy = "edit" }
  }
  node_instance_type = "t3.medium"
  node_min           = 1
  node_desired       = 2
  node_max           = 3
  max_pods_per_node  = 35
  node_tags          = { Environment = "test" }
}

run "shut" {
  # The way in.
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_private_access && !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
    error_message = "The API is reached inside only."
  }

  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API" && !aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions
    error_message = "Access entries only; whoever ran Terraform is not admin by that."
  }

  assert {
    condition     = aws_eks_access_policy_association.this["installer"].policy_arn == "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy" && aws_eks_access_policy_association.this["installer"].access_scope[0].type == "cluster"
    error_message = "Cluster admin is everywhere."
  }

  assert {
    condition     = aws_eks_access_policy_association.this["operators"].access_scope[0].type == "namespace" && aws_eks_access_policy_association.this["operators"].access_scope[0].namespaces == toset(["detection-system"])
    error_message = "Everybody else stays in the namespace."
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.api) == 0
    error_message = "No network reaches the API unless named."
  }

  # What it keeps.
  assert {
    condition     = toset(aws_eks_cluster.this.encryption_config[0].resources) == toset(["secrets"]) && aws_eks_cluster.this.encryption_config[0].provider[0].key_arn == aws_kms_key.this.arn && aws_kms_key.this.enable_key_rotation
    error_message = "Secrets are encrypted by its own, rotated key."
  }

  assert {
    condition     = aws_eks_cluster.this.enabled_cluster_log_types == toset(["api", "audit", "authenticator", "controllerManager", "scheduler"])
    error_message = "All five logs."
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.name == "/aws/eks/detection-test/cluster" && aws_cloudwatch_log_group.this.retention_in_days == 90 && aws_cloudwatch_log_group.this.kms_key_id == aws_kms_key.this.arn
    error_message = "In the group that EKS writes to, encrypted, for 90 days."
  }

  assert {
    condition     = [for one in jsondecode(aws_kms_key.this.policy).Statement : one.Principal.AWS if one.Sid == "ControlPlaneSecrets"] == [var.cluster_role_arn]
    error_message = "The control plane may use the key."
  }

  # Nodes.
  assert {
    condition     = output.nodes == { instance_type = "t3.medium", min = 1, desired = 2, max = 3, subnets = 1 }
    error_message = "Nodes as asked for."
  }

  assert {
    condition     = aws_launch_template.node.metadata_options[0].http_tokens == "required" && aws_launch_template.node.metadata_options[0].http_put_response_hop_limit == 1
    error_message = "A pod does not get at the node's role."
  }

  assert {
    condition     = aws_launch_template.node.block_device_mappings[0].ebs[0].encrypted == "true"
    error_message = "The nodes' disks are encrypted."
  }

  assert {
    condition     = contains(aws_launch_template.node.vpc_security_group_ids, aws_security_group.node.id) && contains(aws_launch_template.node.vpc_security_group_ids, aws_eks_cluster.this.vpc_config[0].cluster_security_group_id)
    error_message = "A node has the group that the database lets in, and the cluster's own."
  }

  assert {
    condition     = length(aws_eks_node_group.this.taint) == 0
    error_message = "No taint: the chart tolerates none."
  }

  assert {
    condition     = alltrue([for specification in aws_launch_template.node.tag_specifications : specification.tags.Environment == "test"]) && length(aws_launch_template.node.tag_specifications) == 3
    error_message = "What the template starts has the tags too."
  }

  assert {
    condition     = strcontains(base64decode(aws_launch_template.node.user_data), "maxPods: 35") && jsondecode(aws_eks_addon.before_nodes["vpc-cni"].configuration_values).env.ENABLE_PREFIX_DELEGATION == "true"
    error_message = "More pods than addresses by prefixes."
  }

  # Add-ons and identities.
  assert {
    condition     = setunion(keys(aws_eks_addon.before_nodes), keys(aws_eks_addon.after_nodes)) == toset(["aws-ebs-csi-driver", "coredns", "eks-pod-identity-agent", "kube-proxy", "metrics-server", "vpc-cni"])
    error_message = "Six add-ons."
  }

  assert {
    condition     = jsondecode(aws_eks_addon.before_nodes["vpc-cni"].configuration_values).enableNetworkPolicy == "true"
    error_message = "Network policies are enforced."
  }

  assert {
    condition     = one(aws_eks_addon.before_nodes["vpc-cni"].pod_identity_association).role_arn == var.addon_role_arns["vpc-cni"] && one(aws_eks_addon.after_nodes["aws-ebs-csi-driver"].pod_identity_association).role_arn == var.addon_role_arns["aws-ebs-csi-driver"]
    error_message = "The two that speak to AWS have their roles."
  }

  assert {
    condition     = aws_eks_pod_identity_association.this["detection-system/detection-api"].namespace == "detection-system" && aws_eks_pod_identity_association.this["detection-system/detection-api"].service_account == "detection-api"
    error_message = "The service's account gets its role."
  }

  assert {
    condition     = aws_iam_openid_connect_provider.this.url == "https://oidc.eks.us-east-1.amazonaws.com/id/MOCKED" && aws_iam_openid_connect_provider.this.client_id_list == toset(["sts.amazonaws.com"])
    error_message = "The cluster's OpenID Connect provider."
  }
}

run "opened_a_little" {
  variables {
    api_public_cidrs  = ["203.0.113.0/24"]
    api_private_cidrs = ["10.99.0.0/16"]
    max_pods_per_node = null
  }

  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_public_access && aws_eks_cluster.this.vpc_config[0].public_access_cidrs == toset(["203.0.113.0/24"])
    error_message = "A public endpoint for the networks named, and for them only."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.api["10.99.0.0/16"].from_port == 443
    error_message = "The VPN reaches the API."
  }

  assert {
    condition     = aws_launch_template.node.user_data == null && jsondecode(aws_eks_addon.before_nodes["vpc-cni"].configuration_values).env.ENABLE_PREFIX_DELEGATION == "false"
    error_message = "Without max_pods nothing is set on the node."
  }
}

run "refuses" {
  command = plan

  variables {
    kubernetes_version       = "1.32"
    control_plane_subnet_ids = ["subnet-1"]
    node_subnet_ids          = []
    addon_role_arns          = {}
    access_entries           = { everybody = { principal_arn = "arn:aws:iam::123456789012:root", policy = "admin" } }
    api_public_cidrs         = ["0.0.0.0/0"]
    api_private_cidrs        = ["0.0.0.0/0"]
    node_instance_type       = "t3.micro"
    node_min                 = 0
    node_disk_gb             = 8
    max_pods_per_node        = 500
    log_retention_days       = 7
  }

  expect_failures = [
    var.kubernetes_version, var.control_plane_subnet_ids, var.node_subnet_ids, var.addon_role_arns, var.access_entries, var.api_public_cidrs,
    var.api_private_cidrs, var.node_instance_type, var.node_min, var.node_disk_gb, var.max_pods_per_node, var.log_retention_days,
  ]
}

run "refuses_more_nodes_than_the_most" {
  command = plan

  variables {
    node_desired = 4
  }

  expect_failures = [aws_eks_node_group.this]
}
