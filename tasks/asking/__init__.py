"""`emi ask`: ready questions in SQL or Python, their scope, statistics of groups and of raters."""
