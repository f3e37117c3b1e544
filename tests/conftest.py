"""For all tests: quiet threads, before any library is loaded."""

import flows  # noqa: F401 - sets the environment that OpenMP, Prefect and Ray read
