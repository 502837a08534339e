#!/usr/bin/env python3
"""moto's server, with what it lacks of EKS: access entries, add-ons, Pod Identity, and the cluster's own security group.

Those are stand-ins of ours: they hold what they are given and give it back in the shape of the API's own model, so that the
real provider can create, read and delete them. They prove that our requests are well formed, not that AWS takes them. The
functions with_* and without_* mend single answers in which moto forgets or mixes up what it was given.
"""
import json
import os
import sys
import uuid
from urllib.parse import unquote

os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")

from moto.core.responses import ActionResult, EmptyResult  # noqa: E402
from moto.core.utils import utcnow  # noqa: E402
from moto.ec2.models import ec2_backends  # noqa: E402
from moto.ec2.models.launch_templates import LaunchTemplateBackend  # noqa: E402
from moto.ec2.models.security_groups import SecurityGroupRule  # noqa: E402
from moto.eks import urls  # noqa: E402
from moto.eks.exceptions import ResourceNotFoundException  # noqa: E402
from moto.eks.responses import EKSResponse  # noqa: E402
from moto.rds.models import DBParameterGroup  # noqa: E402
from moto.rds.responses import RDSResponse  # noqa: E402
from moto.s3.models import FakeBucket  # noqa: E402
from moto import server  # noqa: E402

PATHS = ("access-entries", "access-entries/(?P<principalArn>.+)/access-policies", "access-entries/(?P<principalArn>.+)/access-policies/(?P<policyArn>.+)",
         "access-entries/(?P<principalArn>.+)", "addons", "addons/(?P<addonName>[^/]+)", "pod-identity-associations",
         "pod-identity-associations/(?P<associationId>[^/]+)")
entries, policies, addons, associations = {}, {}, {}, {}


def missing(what):
    return ResourceNotFoundException(clusterName=None, nodegroupName=None, addonName=None, message=f"{what} is not there")


def body(response):
    return json.loads(response.body) if response.body else {}


def parameters(response):
    """The request's parameters by the API's names, and the cluster's name; what is in the path comes as it was sent."""
    path = {key: unquote(value) for key, value in response.uri_match.items()}
    return {**path, **body(response)}, path["name"]


def arn(response, kind, *parts):
    return f"arn:aws:eks:{response.region}:{response.current_account}:{kind}/{'/'.join(parts)}"


def taken(store, key, what):
    if key not in store:
        raise missing(what)
    return store[key]


def create_access_entry(self):
    given, cluster = parameters(self)
    entry = {"clusterName": cluster, "principalArn": given["principalArn"], "kubernetesGroups": given.get("kubernetesGroups") or [],
             "accessEntryArn": arn(self, "access-entry", cluster, str(uuid.uuid4())), "createdAt": utcnow(), "modifiedAt": utcnow(),
             "tags": given.get("tags") or {}, "username": given.get("username") or given["principalArn"], "type": given.get("type") or "STANDARD"}
    entries[cluster, given["principalArn"]] = entry
    return ActionResult({"accessEntry": entry})


def describe_access_entry(self):
    given, cluster = parameters(self)
    return ActionResult({"accessEntry": taken(entries, (cluster, given["principalArn"]), "the access entry")})


def list_access_entries(self):
    _, cluster = parameters(self)
    return ActionResult({"accessEntries": [principal for name, principal in entries if name == cluster]})


def delete_access_entry(self):
    given, cluster = parameters(self)
    taken(entries, (cluster, given["principalArn"]), "the access entry")
    del entries[cluster, given["principalArn"]]
    return EmptyResult()


def associate_access_policy(self):
    given, cluster = parameters(self)
    taken(entries, (cluster, given["principalArn"]), "the access entry")
    policy = {"policyArn": given["policyArn"], "accessScope": given["accessScope"], "associatedAt": utcnow(), "modifiedAt": utcnow()}
    policies[cluster, given["principalArn"], given["policyArn"]] = policy
    return ActionResult({"clusterName": cluster, "principalArn": given["principalArn"], "associatedAccessPolicy": policy})


def list_associated_access_policies(self):
    given, cluster = parameters(self)
    found = [policy for key, policy in policies.items() if key[:2] == (cluster, given["principalArn"])]
    return ActionResult({"clusterName": cluster, "principalArn": given["principalArn"], "associatedAccessPolicies": found})


def disassociate_access_policy(self):
    given, cluster = parameters(self)
    key = (cluster, given["principalArn"], given["policyArn"])
    taken(policies, key, "the policy")
    del policies[key]
    return EmptyResult()


def associate(self, cluster, namespace, account, role, owner=None, tags=None):
    identity = "a-" + uuid.uuid4().hex[:17]
    association = {"clusterName": cluster, "namespace": namespace, "serviceAccount": account, "roleArn": role, "associationId": identity,
                   "associationArn": arn(self, "podidentityassociation", cluster, identity), "tags": tags or {}, "createdAt": utcnow(),
                   "modifiedAt": utcnow()}
    if owner:
        association["ownerArn"] = owner
    associations[cluster, identity] = association
    return association


def create_pod_identity_association(self):
    given, cluster = parameters(self)
    made = associate(self, cluster, given["namespace"], given["serviceAccount"], given["roleArn"], tags=given.get("tags"))
    return ActionResult({"association": made})


def describe_pod_identity_association(self):
    given, cluster = parameters(self)
    return ActionResult({"association": taken(associations, (cluster, given["associationId"]), "the association")})


def list_pod_identity_associations(self):
    _, cluster = parameters(self)
    return ActionResult({"associations": [value for key, value in associations.items() if key[0] == cluster]})


def delete_pod_identity_association(self):
    given, cluster = parameters(self)
    association = taken(associations, (cluster, given["associationId"]), "the association")
    del associations[cluster, given["associationId"]]
    return ActionResult({"association": association})


def create_addon(self):
    given, cluster = parameters(self)
    name = given["addonName"]
    addon = {"addonName": name, "clusterName": cluster, "status": "ACTIVE", "addonVersion": given.get("addonVersion") or "v0.0.0-emulated",
             "health": {"issues": []}, "addonArn": arn(self, "addon", cluster, name, str(uuid.uuid4())), "createdAt": utcnow(),
             "modifiedAt": utcnow(), "tags": given.get("tags") or {}}
    if given.get("configurationValues"):
        addon["configurationValues"] = given["configurationValues"]
    addon["podIdentityAssociations"] = [
        associate(self, cluster, "kube-system", item["serviceAccount"], item["roleArn"], addon["addonArn"])["associationArn"]
        for item in given.get("podIdentityAssociations") or []]
    addons[cluster, name] = addon
    return ActionResult({"addon": addon})


def describe_addon(self):
    given, cluster = parameters(self)
    return ActionResult({"addon": taken(addons, (cluster, given["addonName"]), "the add-on")})


def list_addons(self):
    _, cluster = parameters(self)
    return ActionResult({"addons": [name for owner, name in addons if owner == cluster]})


def delete_addon(self):
    given, cluster = parameters(self)
    addon = taken(addons, (cluster, given["addonName"]), "the add-on")
    del addons[cluster, given["addonName"]]
    for key in [key for key, value in associations.items() if value.get("ownerArn") == addon["addonArn"]]:
        del associations[key]
    return ActionResult({"addon": addon})


def with_cluster_details(create):
    """What describe-cluster has to show besides; and the security group that EKS makes for a cluster."""
    def create_cluster(self):
        result = create(self)
        given = body(self)
        cluster = self.eks_backend.describe_cluster(name=given["name"])
        cluster.access_config = given.get("accessConfig")
        cluster.upgrade_policy = given.get("upgradePolicy")
        ec2 = ec2_backends[self.current_account][self.region]
        network = cluster.resources_vpc_config
        network["vpcId"] = ec2.get_subnet(network["subnetIds"][0]).vpc_id
        group = ec2.create_security_group(f"eks-cluster-sg-{cluster.name}", "made by EKS", vpc_id=network["vpcId"], tags={})
        network["clusterSecurityGroupId"] = group.id
        return result
    return create_cluster


def without_security_group(delete):
    def delete_cluster(self):
        network = self.eks_backend.describe_cluster(name=self._get_param("name")).resources_vpc_config
        result = delete(self)
        ec2_backends[self.current_account][self.region].delete_security_group(group_id=network["clusterSecurityGroupId"])
        return result
    return delete_cluster


def with_update_config(create):
    """moto forgets how many nodes may be away, and gives every group without SSH one."""
    def create_nodegroup(self):
        result = create(self)
        given = body(self)
        group = self.eks_backend.describe_nodegroup(self._get_param("name"), given["nodegroupName"])
        group.update_config = given.get("updateConfig")
        if "remoteAccess" not in given:
            group.remote_access = None
        return result
    return create_nodegroup


def without_own_tags(create):
    """moto mixes the tags of a launch template with those of what it starts."""
    def create_launch_template(self, name, description, template_data, tag_spec):
        told = [one for one in template_data.get("TagSpecifications", []) if one["ResourceType"] != "launch-template"]
        return create(self, name, description, {**template_data, "TagSpecifications": told}, tag_spec)
    return create_launch_template


def with_insights(create):
    """moto does not keep the settings of Performance Insights."""
    def create_db_instance(self):
        result = create(self)
        server = self.backend.describe_db_instances(self.params["DBInstanceIdentifier"])[0]
        server.performance_insights_enabled = self.params.get("EnablePerformanceInsights", False)
        server.performance_insights_kms_key_id = self.params.get("PerformanceInsightsKMSKeyId")
        server.performance_insights_retention_period = self.params.get("PerformanceInsightsRetentionPeriod")
        return result
    return create_db_instance


def unconditional(decide):
    """moto denies what a bucket policy denies under a condition, whether or not it holds: leave those statements out."""
    def get_permission(self, action, resource):
        kept, self.policy = self.policy, self.policy
        try:
            if kept is not None:
                document = json.loads(kept.decode())
                document["Statement"] = [one for one in document["Statement"] if not (one["Effect"] == "Deny" and one.get("Condition"))]
                self.policy = json.dumps(document).encode() if document["Statement"] else None
            return decide(self, action, resource)
        finally:
            self.policy = kept
    return get_permission


def with_source(update):
    """RDS says of a parameter that somebody set that it is the user's; the provider reads only those."""
    def update_parameters(self, new_parameters):
        update(self, [{**parameter, "Source": "user"} for parameter in new_parameters])
    return update_parameters


def main():
    for function in (create_access_entry, describe_access_entry, list_access_entries, delete_access_entry, associate_access_policy,
                     list_associated_access_policies, disassociate_access_policy, create_pod_identity_association,
                     describe_pod_identity_association, list_pod_identity_associations, delete_pod_identity_association, create_addon,
                     describe_addon, list_addons, delete_addon):
        setattr(EKSResponse, function.__name__, function)
    EKSResponse.create_cluster = with_cluster_details(EKSResponse.create_cluster)
    EKSResponse.delete_cluster = without_security_group(EKSResponse.delete_cluster)
    EKSResponse.create_nodegroup = with_update_config(EKSResponse.create_nodegroup)
    LaunchTemplateBackend.create_launch_template = without_own_tags(LaunchTemplateBackend.create_launch_template)
    RDSResponse.create_db_instance = with_insights(RDSResponse.create_db_instance)
    FakeBucket.get_permission = unconditional(FakeBucket.get_permission)
    DBParameterGroup.update_parameters = with_source(DBParameterGroup.update_parameters)
    SecurityGroupRule.description = property(lambda rule: rule.ip_range.get("Description") or (rule.source_group or {}).get("Description"))
    for path in PATHS:
        urls.url_paths["{0}/clusters/(?P<name>[^/]+)/" + path + "$"] = urls.response.dispatch
    server.main(sys.argv[1:])


if __name__ == "__main__":
    main()
