-- How are the scores distributed?
-- Who asks: a researcher before any comparison: are the scores spread out, or all alike?
-- Read it so: half of the clips lie below median, eight of ten between p10 and p90; deviation is
-- the standard deviation. EMI scores go from 0 to 1, arousal, dominance and valence about so.
WITH rated AS (
    SELECT
        /* by */
        COLUMNS(
            '^(admiration|amusement|determination|empathic_pain|excitement|joy'
            || '|arousal|dominance|valence)$'
        ) AS 'of \1'
    FROM trusted_scores
),
figures AS (
    SELECT
        /* by */
        count(*) AS clips,
        {'mean': avg(COLUMNS('^of (.*)$')), 'deviation': stddev_samp(COLUMNS('^of (.*)$')),
            'lowest': min(COLUMNS('^of (.*)$')), 'highest': max(COLUMNS('^of (.*)$')),
            'middle': quantile_cont(COLUMNS('^of (.*)$'), [0.1, 0.5, 0.9])} AS '\1'
    FROM rated
    GROUP BY ALL
    HAVING count(*) > 0
)
SELECT
    /* by */
    score,
    clips,
    round(figure.mean, 3) AS mean,
    round(figure.deviation, 3) AS deviation,
    round(figure.lowest::DOUBLE, 3) AS lowest,
    round(figure.middle[1]::DOUBLE, 3) AS p10,
    round(figure.middle[2]::DOUBLE, 3) AS median,
    round(figure.middle[3]::DOUBLE, 3) AS p90,
    round(figure.highest::DOUBLE, 3) AS highest
FROM (
    UNPIVOT figures
    ON admiration, amusement, determination, empathic_pain, excitement, joy,
        arousal, dominance, valence
    INTO NAME score VALUE figure
)
