-- Which words stand out in the most joyful clips?
-- Who asks: a researcher who wonders what people say when they sound joyful (emi transcribe).
-- Read it so: joyful_clips and other_clips count the clips with the word, in the tenth of the
-- clips that sounds most joyful and in the rest; times is how many times as often it is said
-- there.
WITH heard AS (
    SELECT
        /* by */
        joy,
        joy >= quantile_cont(joy, 0.9) OVER () AS is_joyful,
        list_distinct(regexp_extract_all(lower(transcripts.text), '[\pL\pN'']+')) AS words
    FROM transcripts
    JOIN trusted_scores USING (clip_id)
    WHERE transcripts.num_words > 0
),
said AS (SELECT /* by */ is_joyful, unnest(words) AS word FROM heard),
counted AS (
    SELECT
        /* by */
        word,
        count_if(is_joyful)::BIGINT AS joyful_clips,
        count_if(NOT is_joyful)::BIGINT AS other_clips
    FROM said
    GROUP BY ALL
)
SELECT
    /* by */
    word,
    joyful_clips,
    other_clips,
    round((joyful_clips + 0.5) / (other_clips + 0.5) * 9, 1) AS times
FROM counted
WHERE joyful_clips >= 2
ORDER BY times DESC, joyful_clips DESC, word
LIMIT 20
