"""All child programs: bounded ones, the guard that ends them, Prefect's server."""
