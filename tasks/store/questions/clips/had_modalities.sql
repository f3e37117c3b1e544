-- What could be heard, read and seen of the clips?
-- Who asks: whoever scored with a model that also reads and sees.
-- Read it so: a row is a set of what clips had; figures are means, 0 to 1.
SELECT
    /* by */
    array_to_string(modalities, ' + ') AS modalities,
    count(*) AS clips,
    round(avg(amusement), 3) AS amusement,
    round(avg(joy), 3) AS joy
FROM trusted_scores
GROUP BY ALL
ORDER BY /* by */ clips DESC, modalities
