"""Which clips a corpus holds, and which of them are done.

Takes a folder, a bucket, a file or a manifest; gives listed clips and a plan.
"""
