"""Labels become a registered model: the plan, the training, the evaluation."""
