-- In which second of a clip does arousal rise furthest above the clip's mean?
SELECT
    clip_id,
    arg_max(second, timeline.arousal) AS second,
    max(timeline.arousal) - any_value(trusted_scores.arousal) AS rise
FROM timeline
JOIN trusted_scores USING (clip_id)
GROUP BY clip_id
ORDER BY rise DESC
LIMIT 5
