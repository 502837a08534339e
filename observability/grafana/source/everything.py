"""All dashboards."""
import json

import audit_trail
import detection_pipeline
import infrastructure
import tak_integration

DASHBOARDS = (detection_pipeline, tak_integration, infrastructure, audit_trail)


def files(runbooks):
    """File name -> JSON; runbooks: the folder in which the links find <Alert>.md."""
    made = [module.build(runbooks) for module in DASHBOARDS]
    return {f"{each['uid']}.json": json.dumps(each, indent=1, ensure_ascii=False) + "\n" for each in made}
