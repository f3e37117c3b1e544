-- In which second of a clip does arousal rise furthest above the clip's mean?
-- Who asks: whoever looks for the moment at which a clip becomes lively.
-- Read it so: second counts from the start of the recording; rise is how far arousal, about 0 to
-- 1, is above its mean in the clip.
SELECT
    /* by */
    clip_id,
    arg_max(second, timeline.arousal) AS second,
    max(timeline.arousal) - any_value(trusted_scores.arousal) AS rise
FROM timeline
JOIN trusted_scores USING (clip_id)
GROUP BY ALL
ORDER BY rise DESC, clip_id
LIMIT 5 /* by */
