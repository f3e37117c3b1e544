-- How do the folders of the corpus compare?
-- Who asks: a researcher whose folders are speakers, sites or conditions.
-- Read it so: each figure is the mean over the clips of a folder, 0 to 1; `emi ask groups --by
-- folder` has intervals.
SELECT
    /* by */
    split_part(clip_id, '/', 1) AS folder,
    count(*) AS clips,
    round(avg(determination), 3) AS determination,
    round(avg(empathic_pain), 3) AS empathic_pain,
    round(avg(valence), 3) AS valence
FROM trusted_scores
GROUP BY ALL
ORDER BY /* by */ folder
