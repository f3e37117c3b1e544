-- How do the folders of the corpus compare?
SELECT
    split_part(clip_id, '/', 1) AS folder,
    count(*) AS clips,
    round(avg(determination), 3) AS determination,
    round(avg(empathic_pain), 3) AS empathic_pain,
    round(avg(valence), 3) AS valence
FROM trusted_scores
GROUP BY folder
ORDER BY folder
