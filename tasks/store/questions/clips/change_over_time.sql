-- How do arousal, dominance and valence change in the course of a clip?
-- Who asks: a researcher who expects clips to build up or to calm down.
-- Read it so: a row is a second counted from the start of the recording, its figures are means
-- over the clips that last so long, about 0 to 1; late seconds are of few, long clips.
SELECT
    /* by */
    timeline.second AS second,
    count(*) AS clips,
    round(avg(timeline.arousal), 3) AS arousal,
    round(avg(timeline.dominance), 3) AS dominance,
    round(avg(timeline.valence), 3) AS valence
FROM timeline
JOIN trusted_scores USING (clip_id)
WHERE timeline.second < 60
GROUP BY ALL
ORDER BY /* by */ timeline.second
