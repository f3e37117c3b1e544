-- How do the scores hang together?
-- Who asks: a researcher who wonders whether two scores say the same of these clips.
-- Read it so: Pearson's correlation over clips, -1 to 1; near 0 two scores have nothing to do
-- with each other, near 1 they rise together. Clips of one speaker are alike, so few speakers
-- prove little.
WITH figures AS (
    SELECT
        /* by */
        [
            {'score': 'admiration', 'admiration': 1.0::DOUBLE,
                'amusement': corr(admiration, amusement),
                'determination': corr(admiration, determination),
                'empathic_pain': corr(admiration, empathic_pain),
                'excitement': corr(admiration, excitement), 'joy': corr(admiration, joy),
                'arousal': corr(admiration, arousal), 'dominance': corr(admiration, dominance),
                'valence': corr(admiration, valence)},
            {'score': 'amusement', 'admiration': corr(admiration, amusement),
                'amusement': 1.0::DOUBLE, 'determination': corr(amusement, determination),
                'empathic_pain': corr(amusement, empathic_pain),
                'excitement': corr(amusement, excitement), 'joy': corr(amusement, joy),
                'arousal': corr(amusement, arousal), 'dominance': corr(amusement, dominance),
                'valence': corr(amusement, valence)},
            {'score': 'determination', 'admiration': corr(admiration, determination),
                'amusement': corr(amusement, determination), 'determination': 1.0::DOUBLE,
                'empathic_pain': corr(determination, empathic_pain),
                'excitement': corr(determination, excitement), 'joy': corr(determination, joy),
                'arousal': corr(determination, arousal),
                'dominance': corr(determination, dominance),
                'valence': corr(determination, valence)},
            {'score': 'empathic_pain', 'admiration': corr(admiration, empathic_pain),
                'amusement': corr(amusement, empathic_pain),
                'determination': corr(determination, empathic_pain), 'empathic_pain': 1.0::DOUBLE,
                'excitement': corr(empathic_pain, excitement), 'joy': corr(empathic_pain, joy),
                'arousal': corr(empathic_pain, arousal),
                'dominance': corr(empathic_pain, dominance),
                'valence': corr(empathic_pain, valence)},
            {'score': 'excitement', 'admiration': corr(admiration, excitement),
                'amusement': corr(amusement, excitement),
                'determination': corr(determination, excitement),
                'empathic_pain': corr(empathic_pain, excitement), 'excitement': 1.0::DOUBLE,
                'joy': corr(excitement, joy), 'arousal': corr(excitement, arousal),
                'dominance': corr(excitement, dominance), 'valence': corr(excitement, valence)},
            {'score': 'joy', 'admiration': corr(admiration, joy),
                'amusement': corr(amusement, joy), 'determination': corr(determination, joy),
                'empathic_pain': corr(empathic_pain, joy), 'excitement': corr(excitement, joy),
                'joy': 1.0::DOUBLE, 'arousal': corr(joy, arousal),
                'dominance': corr(joy, dominance), 'valence': corr(joy, valence)},
            {'score': 'arousal', 'admiration': corr(admiration, arousal),
                'amusement': corr(amusement, arousal),
                'determination': corr(determination, arousal),
                'empathic_pain': corr(empathic_pain, arousal),
                'excitement': corr(excitement, arousal), 'joy': corr(joy, arousal),
                'arousal': 1.0::DOUBLE, 'dominance': corr(arousal, dominance),
                'valence': corr(arousal, valence)},
            {'score': 'dominance', 'admiration': corr(admiration, dominance),
                'amusement': corr(amusement, dominance),
                'determination': corr(determination, dominance),
                'empathic_pain': corr(empathic_pain, dominance),
                'excitement': corr(excitement, dominance), 'joy': corr(joy, dominance),
                'arousal': corr(arousal, dominance), 'dominance': 1.0::DOUBLE,
                'valence': corr(dominance, valence)},
            {'score': 'valence', 'admiration': corr(admiration, valence),
                'amusement': corr(amusement, valence),
                'determination': corr(determination, valence),
                'empathic_pain': corr(empathic_pain, valence),
                'excitement': corr(excitement, valence), 'joy': corr(joy, valence),
                'arousal': corr(arousal, valence), 'dominance': corr(dominance, valence),
                'valence': 1.0::DOUBLE}
        ] AS rows
    FROM trusted_scores
    GROUP BY ALL
    HAVING count(*) > 0
),
listed AS (SELECT /* by */ unnest(range(1, 10)) AS place, unnest(rows) AS row FROM figures)
SELECT
    /* by */
    row.score AS score,
    round(row.admiration, 2) AS admiration,
    round(row.amusement, 2) AS amusement,
    round(row.determination, 2) AS determination,
    round(row.empathic_pain, 2) AS empathic_pain,
    round(row.excitement, 2) AS excitement,
    round(row.joy, 2) AS joy,
    round(row.arousal, 2) AS arousal,
    round(row.dominance, 2) AS dominance,
    round(row.valence, 2) AS valence
FROM listed
ORDER BY /* by */ place
