"""MLflow: registered models, their folders, tracked trainings."""
