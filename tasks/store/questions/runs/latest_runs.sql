-- The latest ten runs.
-- Who asks: whoever looks after the store.
-- Read it so: audio_hours_per_hour is how many hours of audio were scored in an hour.
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
