-- What could be heard, read and seen of the clips?
SELECT
    array_to_string(modalities, ' + ') AS modalities,
    count(*) AS clips,
    round(avg(amusement), 3) AS amusement,
    round(avg(joy), 3) AS joy
FROM trusted_scores
GROUP BY ALL
ORDER BY clips DESC, modalities
