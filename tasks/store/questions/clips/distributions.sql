-- How are the scores distributed?
-- Who asks: a researcher before any comparison: are the scores spread out, or all alike?
-- Read it so: half of the clips lie below median, eight of ten between p10 and p90; deviation is
-- the standard deviation. EMI scores go from 0 to 1, arousal, dominance and valence about so.
WITH rated AS (
    SELECT
        /* by */
        unnest(range(1, 10)) AS place,
        unnest([admiration, amusement, determination, empathic_pain, excitement, joy,
            arousal, dominance, valence]) AS rating
    FROM trusted_scores
),
figures AS ( -- a group a score: DuckDB sorts out the middles of several groups at once
    SELECT
        /* by */
        place,
        count(*) AS clips,
        avg(rating) AS mean,
        stddev_samp(rating) AS deviation,
        min(rating)::DOUBLE AS lowest,
        quantile_cont(rating, [0.1, 0.5, 0.9])::DOUBLE[] AS middle,
        max(rating)::DOUBLE AS highest
    FROM rated
    GROUP BY ALL
)
SELECT
    /* by */
    ['admiration', 'amusement', 'determination', 'empathic_pain', 'excitement', 'joy',
        'arousal', 'dominance', 'valence'][place] AS score,
    clips,
    round(mean, 3) AS mean,
    round(deviation, 3) AS deviation,
    round(lowest, 3) AS lowest,
    round(middle[1], 3) AS p10,
    round(middle[2], 3) AS median,
    round(middle[3], 3) AS p90,
    round(highest, 3) AS highest
FROM figures
ORDER BY /* by */ place
