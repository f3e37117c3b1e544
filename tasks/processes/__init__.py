"""All child programs: bounded ones, the guard that ends orphans, Prefect's server."""
