#!/usr/bin/env python3
"""One environment from nothing to nothing against moto: state bucket, apply, an empty second plan, a look by boto3, destroy.

usage: lifecycle.py ENVIRONMENT PROGRAM PLUGIN-DIR WORK   (tests/terraform/run lifecycle starts it)
"""
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import boto3

HERE = pathlib.Path(__file__).resolve().parent
SIZES = {  # nodes: type, least, wanted, most, subnets; database: class, standby, days; NAT gateways, endpoints, lock days
    "dev": ("t3.medium", 1, 1, 1, 1, "db.t4g.medium", False, 7, 1, 1, "GOVERNANCE", 7),
    "staging": ("t3.large", 2, 2, 4, 3, "db.t4g.large", True, 14, 1, 1, "GOVERNANCE", 14),
    "prod": ("t3.xlarge", 3, 3, 10, 3, "db.m7g.large", True, 30, 3, 8, "COMPLIANCE", 30),
}
TAGS = {"Project": "detection-system", "ManagedBy": "terraform"}
failures = []
done = 0


def check(condition, what):
    global done
    done += 1
    if not condition:
        failures.append(what)
        print(f"  not so: {what}", flush=True)


class Run:
    def __init__(self, environment, program, plugins, work):
        self.environment, self.program, self.plugins = environment, program, plugins
        self.root = pathlib.Path(work)
        self.folder = self.root / "terraform" / "environments" / environment

    def tool(self, *arguments, folder=None, codes=(0,)):
        """One call of the program; its output when the exit code is one of those."""
        began = time.monotonic()
        run = subprocess.run([self.program, *arguments], cwd=folder or self.folder, capture_output=True, text=True, timeout=1500, check=False)
        print(f"  {' '.join(arguments[:2])}: {time.monotonic() - began:.0f} s", flush=True)
        if run.returncode not in codes:
            sys.exit(f"{' '.join(arguments)} ended with {run.returncode}:\n{run.stdout[-3000:]}\n{run.stderr[-3000:]}")
        return run.stdout

    def init(self, folder, *more):
        self.tool("init", "-no-color", "-input=false", f"-plugin-dir={self.plugins}", *more, folder=folder)


def start_emulator(log):
    """moto on a port that the kernel chooses; the process and its address."""
    with open(log, "w", encoding="utf-8") as output:
        emulator = subprocess.Popen([sys.executable, str(HERE / "emulator.py"), "-H", "127.0.0.1", "-p", "0"], stdout=output, stderr=output)
    for _ in range(600):
        found = re.search(r"Running on (http://127\.0\.0\.1:\d+)", pathlib.Path(log).read_text(encoding="utf-8"))
        if found:
            return emulator, found.group(1)
        if emulator.poll() is not None:
            break
        time.sleep(0.2)
    emulator.kill()
    sys.exit(f"moto did not start: {pathlib.Path(log).read_text(encoding='utf-8')[-2000:]}")


def make_state_bucket(run):
    """As docs/infrastructure.md has it: the bucket by its own configuration, whose state then moves into it."""
    folder = run.root / "terraform" / "bootstrap"
    run.init(folder, "-lockfile=readonly")
    run.tool("apply", "-auto-approve", "-no-color", folder=folder)
    backend = run.root / "state.hcl"
    backend.write_text(run.tool("output", "-raw", "backend", folder=folder), encoding="utf-8")
    (folder / "backend.tf").write_bytes((folder / "backend.tf.example").read_bytes())
    run.init(folder, "-migrate-state", "-force-copy", f"-backend-config={backend}")
    run.tool("plan", "-detailed-exitcode", "-no-color", folder=folder)  # 0: nothing to change, 2: something
    return backend


def look_at_state(bucket):
    s3 = boto3.client("s3")
    keys = {item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}
    check("bootstrap/terraform.tfstate" in keys, "the bootstrap's state is in the bucket")
    check(not any(key.endswith(".tflock") for key in keys), "no lock is left")
    check(s3.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled", "old states are kept")


def refuses_a_second_writer(run, bucket):
    """While a lock lies beside the state, nobody else gets in."""
    s3 = boto3.client("s3")
    key = f"{run.environment}/terraform.tfstate.tflock"
    s3.put_object(Bucket=bucket, Key=key, Body=b'{"ID":"somebody-else","Operation":"apply","Who":"test"}')
    plan = subprocess.run([run.program, "plan", "-no-color", "-lock-timeout=1s"], cwd=run.folder, capture_output=True, text=True, timeout=600, check=False)
    check(plan.returncode == 1 and "Error acquiring the state lock" in plan.stderr, "a locked state is refused")
    for version in s3.list_object_versions(Bucket=bucket, Prefix=key).get("Versions", []):
        s3.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])


def look_at_network(wanted, outputs):
    ec2 = boto3.client("ec2")
    here = [{"Name": "vpc-id", "Values": [outputs["network"]["vpc_id"]]}]
    subnets = ec2.describe_subnets(Filters=here)["Subnets"]
    check(len(subnets) == 9 and len({subnet["AvailabilityZone"] for subnet in subnets}) == 3, "nine subnets in three zones")
    gateways = [one for one in ec2.describe_nat_gateways(Filters=here)["NatGateways"] if one["State"] == "available"]
    check(len(gateways) == wanted[8], f"{wanted[8]} NAT gateways")
    check(len(ec2.describe_vpc_endpoints(Filters=here)["VpcEndpoints"]) == wanted[9], f"{wanted[9]} endpoints")
    logs = ec2.describe_flow_logs(Filters=[{"Name": "resource-id", "Values": [outputs["network"]["vpc_id"]]}])["FlowLogs"]
    check([log["TrafficType"] for log in logs] == ["ALL"], "flow logs of all traffic")
    database = {subnet["SubnetId"] for subnet in subnets if subnet["CidrBlock"].split(".")[2] in ("21", "22", "23")}
    tables = [table for table in ec2.describe_route_tables(Filters=here)["RouteTables"]
              if {link.get("SubnetId") for link in table["Associations"]} & database]
    check(len(tables) == 1 and [route["GatewayId"] for route in tables[0]["Routes"]] == ["local"], "the database's subnets have the local route alone")


def look_at_cluster(name, wanted):
    eks = boto3.client("eks")
    cluster = eks.describe_cluster(name=name)["cluster"]
    network = cluster["resourcesVpcConfig"]
    check(network["endpointPrivateAccess"] and not network["endpointPublicAccess"], "the API is private")
    check(cluster["encryptionConfig"][0]["resources"] == ["secrets"], "secrets are encrypted")
    check(sorted(cluster["logging"]["clusterLogging"][0]["types"]) == ["api", "audit", "authenticator", "controllerManager", "scheduler"], "five logs")
    group = eks.describe_nodegroup(clusterName=name, nodegroupName=f"{name}-main")["nodegroup"]
    scaling = group["scalingConfig"]
    check((group["instanceTypes"][0], scaling["minSize"], scaling["desiredSize"], scaling["maxSize"], len(group["subnets"])) == wanted[:5], "the nodes")
    # From here on our stand-in answers, not moto.
    check(len(eks.list_addons(clusterName=name)["addons"]) == 6, "six add-ons (stand-in)")
    owned = [one for one in eks.list_pod_identity_associations(clusterName=name)["associations"]]
    check(sorted(f"{one['namespace']}/{one['serviceAccount']}" for one in owned) == [
        "argocd/argocd-repo-server", "detection-system/detection-api", "detection-system/detection-backup", "kube-system/aws-node",
        "kube-system/ebs-csi-controller-sa"], "Pod Identity associations (stand-in)")
    check(eks.list_access_entries(clusterName=name)["accessEntries"] == ["arn:aws:iam::123456789012:role/installer"], "the access entry (stand-in)")


def look_at_database(name, wanted, outputs):
    rds, ec2 = boto3.client("rds"), boto3.client("ec2")
    server = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
    check((server["DBInstanceClass"], server["MultiAZ"], server["BackupRetentionPeriod"]) == wanted[5:8], "the database's size")
    check(not server["PubliclyAccessible"] and server["StorageEncrypted"], "no public address, encrypted")
    check(outputs["database"]["host"] == server["Endpoint"]["Address"], "the output names its endpoint")
    groups = [group["VpcSecurityGroupId"] for group in server["VpcSecurityGroups"]]
    rules = [rule for rule in ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": groups}])["SecurityGroupRules"]
             if not rule["IsEgress"]]
    sources = [rule.get("ReferencedGroupInfo", {}).get("GroupId") for rule in rules]
    node = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [f"{name}-node"]}])["SecurityGroups"][0]["GroupId"]
    check(sources == [node] and rules[0]["FromPort"] == rules[0]["ToPort"] == 5432, "only the nodes' group reaches 5432")
    template = ec2.describe_launch_template_versions(LaunchTemplateName=f"{name}-node")["LaunchTemplateVersions"][-1]["LaunchTemplateData"]
    check(node in template["SecurityGroupIds"], "and the nodes have that group")
    found = rds.describe_db_parameters(DBParameterGroupName=f"{name}-postgres16")["Parameters"]
    values = {one["ParameterName"]: one.get("ParameterValue") for one in found}
    check(values.get("rds.force_ssl") == "1" and values.get("max_connections") == "200", "TLS is forced, 200 connections")


def look_at_bucket(wanted, outputs):
    s3 = boto3.client("s3")
    bucket = outputs["backup"]["bucket"]
    lock = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    check((lock["Mode"], lock["Days"]) == wanted[10:12], "the bucket's lock")
    check(all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()), "public access is blocked fourfold")
    # Locked for seconds in place of the bucket's days, so that it can be taken down again.
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=20)
    written = s3.put_object(Bucket=bucket, Key="database/test.snapshot", Body=b"first", ObjectLockMode=lock["Mode"], ObjectLockRetainUntilDate=until)
    s3.put_object(Bucket=bucket, Key="database/test.snapshot", Body=b"second", ObjectLockMode=lock["Mode"], ObjectLockRetainUntilDate=until)
    try:
        s3.delete_object(Bucket=bucket, Key="database/test.snapshot", VersionId=written["VersionId"])
        check(False, "a locked version is not deleted")
    except s3.exceptions.ClientError as error:
        check(error.response["Error"]["Code"] == "AccessDenied", "a locked version is not deleted")
    check(s3.get_object(Bucket=bucket, Key="database/test.snapshot", VersionId=written["VersionId"])["Body"].read() == b"first",
          "what was written over is still there")
    check(s3.head_object(Bucket=bucket, Key="database/test.snapshot").get("ServerSideEncryption") == "aws:kms", "encrypted without being asked")
    return bucket


def look_at_roles(name):
    iam = boto3.client("iam")
    for purpose in ("application", "argocd", "backup"):
        policy = iam.get_role_policy(RoleName=f"{name}-{purpose}", PolicyName=f"{name}-{purpose}")["PolicyDocument"]
        actions = [action for one in policy["Statement"] for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])]
        check(not any("*" in action or "Delete" in action for action in actions), f"{purpose}: no wildcard, no deletion")


def tagged(state):
    """Every resource in the state that can have tags has the environment's."""
    def resources(module):
        yield from module.get("resources", [])
        for child in module.get("child_modules", []):
            yield from resources(child)
    count = 0
    for resource in resources(state["values"]["root_module"]):
        if resource["mode"] == "managed" and "tags_all" in resource["values"]:
            tags = resource["values"]["tags_all"] or {}
            check(TAGS.items() <= tags.items() and "Environment" in tags, f"tags of {resource['address']}")
            count += 1
    return count


def chart_takes(run, values):
    """The chart takes what Terraform says, by its closed schema; and the host reaches the pods."""
    helm = os.environ.get("HELM")
    if not helm:
        return print("  the chart was not rendered with these values: no helm")
    path = run.root / "infrastructure.yaml"
    path.write_text(values, encoding="utf-8")
    rendered = subprocess.run([helm, "template", "detection-api", "kubernetes/chart", "-f", f"kubernetes/chart/values-{run.environment}.yaml",
                               "-f", f"kubernetes/environments/{run.environment}/slots.yaml", "-f", str(path)], cwd=run.root, capture_output=True,
                              text=True, check=False)
    check(rendered.returncode == 0, f"the chart renders: {rendered.stderr[-500:]}")
    check(re.search(r'"host": "(\S+)"', values).group(1) in rendered.stdout, "the database's host is in the rendered chart")
    return None


def leftovers():
    """What boto3 still finds after destroy, but for the state bucket and its key, and keys that AWS deletes 30 days later."""
    found = []
    ec2 = boto3.client("ec2")
    found += [one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"] if not one["IsDefault"]]
    found += [one["AllocationId"] for one in ec2.describe_addresses()["Addresses"]]
    found += [one["NatGatewayId"] for one in ec2.describe_nat_gateways()["NatGateways"] if one["State"] != "deleted"]
    found += [one["LaunchTemplateId"] for one in ec2.describe_launch_templates()["LaunchTemplates"]]
    found += [one["GroupId"] for one in ec2.describe_security_groups()["SecurityGroups"] if one["GroupName"] != "default"]
    found += boto3.client("eks").list_clusters()["clusters"]
    rds = boto3.client("rds")
    found += [one["DBInstanceIdentifier"] for one in rds.describe_db_instances()["DBInstances"]]
    found += [one["DBParameterGroupName"] for one in rds.describe_db_parameter_groups()["DBParameterGroups"] if not one["DBParameterGroupName"].startswith("default")]
    iam = boto3.client("iam")
    found += [one["RoleName"] for one in iam.list_roles()["Roles"] if not one["Path"].startswith("/aws-service-role/")]
    found += [one["Arn"] for one in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]]
    found += [one["logGroupName"] for one in boto3.client("logs").describe_log_groups()["logGroups"]]
    found += [one["AlarmName"] for one in boto3.client("cloudwatch").describe_alarms()["MetricAlarms"]]
    found += [one["Name"] for one in boto3.client("s3").list_buckets()["Buckets"] if "terraform-state" not in one["Name"]]
    kms = boto3.client("kms")
    keys = [kms.describe_key(KeyId=one["KeyId"])["KeyMetadata"] for one in kms.list_keys()["Keys"]]
    found += [one["KeyId"] for one in keys if one["KeyState"] != "PendingDeletion" and "Terraform state" not in one["Description"] and one["KeyManager"] == "CUSTOMER"]
    return found


def main():
    if len(sys.argv) != 5 or sys.argv[1] not in SIZES:
        sys.exit(__doc__)
    run = Run(*sys.argv[1:])
    environment, name, wanted = run.environment, f"detection-{run.environment}", SIZES[run.environment]
    emulator, address = start_emulator(run.root / "moto.log")
    os.environ.update(AWS_ENDPOINT_URL=address, AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing", AWS_DEFAULT_REGION="us-east-1",
                      AWS_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true", CHECKPOINT_DISABLE="1")
    os.environ["TF_VAR_access_entries"] = json.dumps(
        {"installer": {"principal_arn": "arn:aws:iam::123456789012:role/installer", "policy": "cluster_admin"}})
    try:
        backend = make_state_bucket(run)
        bucket = re.search(r'bucket\s+= "([^"]+)"', backend.read_text(encoding="utf-8")).group(1)
        look_at_state(bucket)
        run.init(run.folder, "-lockfile=readonly", f"-backend-config={backend}")
        run.tool("apply", "-auto-approve", "-no-color")
        second = subprocess.run([run.program, "plan", "-detailed-exitcode", "-no-color"], cwd=run.folder, capture_output=True, text=True, timeout=900, check=False)
        (run.root / "second-plan.txt").write_text(second.stdout + second.stderr, encoding="utf-8")
        changes = re.findall(r"^  # (.*)$", second.stdout, re.MULTILINE)
        check(second.returncode == 0, f"the second plan is empty: {'; '.join(changes)}")
        refuses_a_second_writer(run, bucket)
        outputs = {key: value["value"] for key, value in json.loads(run.tool("output", "-json")).items()}
        look_at_network(wanted, outputs)
        look_at_cluster(name, wanted)
        look_at_database(name, wanted, outputs)
        backups = look_at_bucket(wanted, outputs)
        look_at_roles(name)
        count = tagged(json.loads(run.tool("show", "-json")))
        chart_takes(run, outputs["chart_values"])
        # The way down, as docs/infrastructure.md has it.
        if environment != "dev":
            refused = subprocess.run([run.program, "destroy", "-auto-approve", "-no-color", "-target=module.platform.module.rds.aws_db_instance.this"],
                                     cwd=run.folder, capture_output=True, text=True, timeout=900, check=False)
            check(refused.returncode == 1 and "DeletionProtection" in refused.stderr.replace(" ", "").replace("deletionprotection", "DeletionProtection"),
                  "the protected database is not destroyed")
            run.tool("apply", "-auto-approve", "-no-color", "-var=deletion_protection=false")
        empty(backups)
        run.tool("destroy", "-auto-approve", "-no-color", *([] if environment == "dev" else ["-var=deletion_protection=false"]))
        left = leftovers()
        check(not left, f"destroy leaves nothing: {', '.join(left)}")
    finally:
        emulator.terminate()
        emulator.wait(timeout=30)
    print(f"{environment}: {done - len(failures)} of {done} checks hold, {count} resources with tags")
    sys.exit(1 if failures else 0)


def empty(bucket):
    """Removes all versions, once their lock is over."""
    s3 = boto3.client("s3")
    for version in s3.list_object_versions(Bucket=bucket)["Versions"]:
        named = {"Bucket": bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
        until = s3.head_object(**named)["ObjectLockRetainUntilDate"]
        time.sleep(max(0.0, (until - datetime.datetime.now(datetime.timezone.utc)).total_seconds() + 1))
        s3.delete_object(**named)


if __name__ == "__main__":
    main()
