-- Which words stand out in the most joyful clips?
-- Who asks: a researcher who wonders what people say when they sound joyful (emi transcribe).
-- Read it so: joyful_clips and other_clips count the clips with the word, in the tenth of the
-- clips that sounds most joyful and in the rest; times is how many times as often it is said
-- there.
WITH heard AS MATERIALIZED (
    SELECT /* by */ joy, lower(transcripts.text) AS text
    FROM transcripts
    JOIN trusted_scores USING (clip_id)
    WHERE transcripts.num_words > 0
),
bounds AS ( -- one, or one for each value of the column of --by
    SELECT row(/* by */ 0) AS whose, quantile_cont(joy, 0.9) AS bound
    FROM heard
    GROUP BY ALL
),
spoken AS (
    SELECT
        /* by */
        joy >= (SELECT bound FROM bounds WHERE whose = row(/* by */ 0)) AS is_joyful,
        string_split(regexp_replace(text, '[^\pL\pN'' ]', ' ', 'g'), ' ') AS words
    FROM heard
),
said AS ( -- each word once; of many, list_distinct finds that sooner
    SELECT
        /* by */
        is_joyful,
        unnest(
            CASE
                WHEN len(words) > 99 THEN list_distinct(words)
                ELSE list_filter(words, lambda word, n: list_position(words, word) = n)
            END
        ) AS word
    FROM spoken
),
counted AS (
    SELECT
        /* by */
        word,
        count_if(is_joyful)::BIGINT AS joyful_clips,
        count_if(NOT is_joyful)::BIGINT AS other_clips
    FROM said
    WHERE word <> ''
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
LIMIT 20 /* by */
