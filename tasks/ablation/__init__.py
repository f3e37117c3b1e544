"""The paper's Table 2: one training a cell and seed, and the report on them."""
