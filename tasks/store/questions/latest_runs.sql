-- The latest ten runs.
SELECT
    started_at,
    state,
    made,
    num_listed,
    num_scored,
    num_rejected,
    num_skipped,
    round(wall_seconds, 1) AS wall_seconds,
    round(audio_hours_per_hour, 1) AS audio_hours_per_hour,
    source,
    run_id
FROM runs
ORDER BY started_at DESC
LIMIT 10
