"""Ray: joining or starting a cluster, its nodes, how a run shares its cores and GPUs."""
