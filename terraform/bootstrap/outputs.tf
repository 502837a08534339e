output "backend" {
  description = "What terraform init of an environment has to know: terraform output -raw backend >state.hcl."
  value       = <<-HCL
    bucket     = "${aws_s3_bucket.state.id}"
    region     = "${var.region}"
    kms_key_id = "${aws_kms_key.state.arn}"
  HCL
}
