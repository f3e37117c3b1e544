-- How are the scores distributed?
-- Who asks: a researcher before any comparison: are the scores spread out, or all alike?
-- Read it so: half of the clips lie below median, eight of ten between p10 and p90; deviation is
-- the standard deviation. EMI scores go from 0 to 1, arousal, dominance and valence about so.
WITH figures AS (
    SELECT
        /* by */
        count(*) AS clips,
        {'mean': avg(admiration), 'deviation': stddev_samp(admiration),
            'lowest': min(admiration), 'highest': max(admiration),
            'middle': quantile_cont(admiration, [0.1, 0.5, 0.9])} AS admiration,
        {'mean': avg(amusement), 'deviation': stddev_samp(amusement),
            'lowest': min(amusement), 'highest': max(amusement),
            'middle': quantile_cont(amusement, [0.1, 0.5, 0.9])} AS amusement,
        {'mean': avg(determination), 'deviation': stddev_samp(determination),
            'lowest': min(determination), 'highest': max(determination),
            'middle': quantile_cont(determination, [0.1, 0.5, 0.9])} AS determination,
        {'mean': avg(empathic_pain), 'deviation': stddev_samp(empathic_pain),
            'lowest': min(empathic_pain), 'highest': max(empathic_pain),
            'middle': quantile_cont(empathic_pain, [0.1, 0.5, 0.9])} AS empathic_pain,
        {'mean': avg(excitement), 'deviation': stddev_samp(excitement),
            'lowest': min(excitement), 'highest': max(excitement),
            'middle': quantile_cont(excitement, [0.1, 0.5, 0.9])} AS excitement,
        {'mean': avg(joy), 'deviation': stddev_samp(joy),
            'lowest': min(joy), 'highest': max(joy),
            'middle': quantile_cont(joy, [0.1, 0.5, 0.9])} AS joy,
        {'mean': avg(arousal), 'deviation': stddev_samp(arousal),
            'lowest': min(arousal), 'highest': max(arousal),
            'middle': quantile_cont(arousal, [0.1, 0.5, 0.9])} AS arousal,
        {'mean': avg(dominance), 'deviation': stddev_samp(dominance),
            'lowest': min(dominance), 'highest': max(dominance),
            'middle': quantile_cont(dominance, [0.1, 0.5, 0.9])} AS dominance,
        {'mean': avg(valence), 'deviation': stddev_samp(valence),
            'lowest': min(valence), 'highest': max(valence),
            'middle': quantile_cont(valence, [0.1, 0.5, 0.9])} AS valence
    FROM trusted_scores
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
