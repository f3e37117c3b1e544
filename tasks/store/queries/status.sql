-- What the store holds, by model and coverage.
SELECT
    model,
    coverage,
    count(*) AS clips,
    count(*) FILTER (status = 'scored') AS scored,
    count(*) FILTER (status = 'rejected') AS rejected,
    round(coalesce(sum(scored_seconds), 0) / 3600, 3) AS audio_hours,
    max(scored_at) AS last_scored_at,
    any_value(backbone_licence) AS backbone_licence,
    any_value(model_sha256) AS model_sha256
FROM scores
GROUP BY model, model_sha256, coverage
ORDER BY last_scored_at DESC
