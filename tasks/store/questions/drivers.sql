-- Which modality drives which score?
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
