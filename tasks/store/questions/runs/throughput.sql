-- How fast were the runs, and what took the time?
-- Who asks: whoever plans how long the rest of a corpus will take.
-- Read it so: audio_hours_per_hour is how many hours of audio were scored in an hour; the shares
-- say where the processes spent their time, extracting audio or scoring it.
SELECT
    started_at,
    made,
    num_scored,
    round(audio_seconds / 3600, 2) AS audio_hours,
    round(wall_seconds, 1) AS wall_seconds,
    round(audio_hours_per_hour, 1) AS audio_hours_per_hour,
    round(extract_seconds / nullif(extract_seconds + score_seconds, 0), 2) AS extracting_share,
    round(score_seconds / nullif(extract_seconds + score_seconds, 0), 2) AS scoring_share,
    round(padding_share, 2) AS padding_share,
    map_keys(nodes) AS nodes,
    run_id
FROM runs
WHERE num_scored > 0
ORDER BY started_at DESC
LIMIT 20
