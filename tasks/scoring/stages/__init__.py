"""What workers do with a run's clips: stages that a pass puts one after another, and its ledger."""
