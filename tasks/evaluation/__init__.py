"""A model held against labels: figures with intervals, pictures, the decision on a promotion."""
