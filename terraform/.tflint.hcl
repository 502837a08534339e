config {
  call_module_type = "local"
}

plugin "terraform" {
  enabled = true
  preset  = "all"
}

plugin "aws" {
  enabled = true
}

# main, variables, outputs and versions are there; more files by subject (nodes.tf, parameters.tf) are wanted.
rule "terraform_standard_module_structure" {
  enabled = false
}
