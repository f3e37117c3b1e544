"""One stage of the workflow a file, and every outside tool."""
