"""Parts of the drills: what feeds the service, what stands around it, what a drill says."""
