"""Jobs of the chart's backups: that of a release, and those of the CronJobs."""

import os

from harness.cluster import Failure, until

COMPONENT = "app.kubernetes.io/component"


def ended(cluster, space, job, seconds=180):
    """Waits for the end of a Job, which must be a good one. -> what its last container said"""
    def look():
        status = cluster.get("-n", space, "job", job)["status"]
        kinds = {c["type"] for c in status.get("conditions", []) if c["status"] == "True"}
        if "Failed" in kinds:
            logs = cluster.kubectl("-n", space, "logs", f"job/{job}", "--all-containers", "--tail=5", check=False)
            raise Failure(f"the Job {job} failed: {status}; {logs[-600:]}")
        return "Complete" in kinds
    until(seconds, f"the Job {job} is complete", look)
    return cluster.kubectl("-n", space, "logs", f"job/{job}", "--tail=1").strip()


def started_now(cluster, space, cronjob):
    """A Job of a CronJob, as its runbook says. -> its name"""
    name = f"{cronjob}-{os.urandom(3).hex()}"
    cluster.kubectl("-n", space, "create", "job", name, f"--from=cronjob/{cronjob}")
    return name


def release_job(cluster, space):
    """The Job that comes with a release. -> its name"""
    found = [job["metadata"]["name"] for job in cluster.items("-n", space, "jobs", "-l", f"{COMPONENT}=backup")
             if not any(owner["kind"] == "CronJob" for owner in job["metadata"].get("ownerReferences", []))]
    if len(found) != 1:
        raise Failure(f"the Jobs of the release: {found}")
    return found[0]
