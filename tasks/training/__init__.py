"""Labels become a registered model: the plan, the training on Ray, the evaluation."""
