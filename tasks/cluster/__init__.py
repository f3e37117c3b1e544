"""Ray: joining or starting a cluster, its nodes, what of it a run may take."""
