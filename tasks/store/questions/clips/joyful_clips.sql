-- Which clips sound most joyful, and how do they score on the neighbouring targets?
-- Who asks: whoever wants to hear examples.
-- Read it so: a score is how strongly raters would perceive the expression, 0 to 1;
-- scored_seconds is how much of the clip was heard.
SELECT /* by */ clip_id, joy, amusement, excitement, scored_seconds
FROM trusted_scores
ORDER BY joy DESC, clip_id
LIMIT 5 /* by */
