-- What the store holds, by model and coverage; the row of scores first.
-- Who asks: whoever opens the store (emi status).
-- Read it so: a row is a model with what it heard; is_current marks what the view scores shows.
SELECT
    model,
    coverage,
    coalesce(bool_or(is_current), false) AS is_current,
    count(*) FILTER (missing_since IS NULL) AS clips,
    count(*) FILTER (missing_since IS NULL AND status = 'scored') AS scored,
    count(*) FILTER (missing_since IS NULL AND status = 'rejected') AS rejected,
    count(*) FILTER (missing_since IS NOT NULL) AS missing,
    round(coalesce(sum(scored_seconds) FILTER (missing_since IS NULL), 0) / 3600, 3) AS audio_hours,
    count(*) FILTER (missing_since IS NULL AND list_contains(flags, 'silent')) AS silent,
    count(*) FILTER (missing_since IS NULL AND list_contains(flags, 'clipped')) AS clipped,
    count(*) FILTER (missing_since IS NULL AND list_contains(flags, 'short_decode')) AS short_decode,
    max(scored_at) AS last_scored_at,
    any_value(backbone_licence) AS backbone_licence,
    model_sha256
FROM all_scores
GROUP BY model, model_sha256, coverage
ORDER BY is_current DESC, last_scored_at DESC
