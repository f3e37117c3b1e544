-- Which clips sound most joyful, and how do they score on the neighbouring targets?
SELECT clip_id, joy, amusement, excitement, scored_seconds
FROM trusted_scores
ORDER BY joy DESC
LIMIT 5
