-- Which modality drives which score?
-- Who asks: whoever wants to know what a model listens to, reads or looks at (emi process
-- --why).
-- Read it so: mean_size is how much the modality moves a score, up or down, on average; drives
-- counts the clips in which it moves the score most.
SELECT
    target,
    name AS modality,
    count(*) AS clips,
    round(avg(value), 3) AS mean_contribution,
    round(avg(abs(value)), 3) AS mean_size,
    count_if(is_largest)::BIGINT AS drives
FROM (
    SELECT *, abs(value) = max(abs(value)) OVER (PARTITION BY clip_id, target) AS is_largest
    FROM attributions
    WHERE kind = 'modality'
)
GROUP BY target, modality
ORDER BY target, mean_size DESC
