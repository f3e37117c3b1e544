-- The systems of each comparison, best first; p_holm: whether the difference may be chance.
-- Who asks: whoever compared fusions, modalities or losses (emi compare).
-- Read it so: pearson is the correlation with the labels, -1 to 1, between low and high with 95
-- %; a p_holm under 0.05 is a difference that is hardly chance.
SELECT
    name,
    round(pearson, 3) AS pearson,
    round(pearson_low, 3) AS low,
    round(pearson_high, 3) AS high,
    round(ccc, 3) AS ccc,
    round(difference, 3) AS difference,
    reference,
    round(p_holm, 4) AS p_holm,
    num_seeds,
    num_parameters,
    round(train_seconds, 1) AS train_seconds,
    round(clips_per_second, 1) AS clips_per_second,
    reason,
    comparison
FROM comparisons
WHERE target = 'mean' AND subset IS NULL
ORDER BY comparison, pearson DESC NULLS LAST
