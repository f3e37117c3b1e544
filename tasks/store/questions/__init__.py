"""Ready questions about a store, a file of SQL each: what is asked, who asks, how to read it.

The file's first comment says it: a line with the question, then ``Who asks:`` and ``Read it so:``.
A question stands by itself (`emi query` answers its text). `emi ask` puts the column of ``--by`` in
place of each ``/* by */``, and what ``--where`` leaves in place of the views that it names. Where
the text ends with ``LIMIT 5 /* by */`` there are up to five rows for each value of that column; the
columns that ORDER BY names before it are columns of the answer.
"""
