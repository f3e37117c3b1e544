-- On which clips do two models differ most?
-- Who asks: whoever got a new model, and wants to hear where it changed its mind.
-- Read it so: difference is how far the scores of both lie apart, 0 to 1, on average over the
-- six emotions; own is the model that the view scores shows. `emi ask model_agreement` sums it
-- up.
WITH shown AS MATERIALIZED ( -- the view scores is of one model and coverage
    SELECT model_sha256, coverage
    FROM scores
    LIMIT 1
),
pairs AS (
    SELECT
        other.clip_id,
        own.model AS own_model,
        other.model AS other_model,
        (
            abs(other.admiration - own.admiration)
            + abs(other.amusement - own.amusement)
            + abs(other.determination - own.determination)
            + abs(other.empathic_pain - own.empathic_pain)
            + abs(other.excitement - own.excitement)
            + abs(other.joy - own.joy)
        ) / 6 AS difference,
        own.joy AS own_joy,
        other.joy AS other_joy,
        own.empathic_pain AS own_empathic_pain,
        other.empathic_pain AS other_empathic_pain
    FROM all_scores AS other
    JOIN scores AS own ON own.clip_id = other.clip_id
    WHERE own.status = 'scored'
        AND other.status = 'scored'
        AND other.coverage = (SELECT coverage FROM shown)
        AND other.model_sha256 <> (SELECT model_sha256 FROM shown)
),
first AS ( -- as they are shown, of all pairs sooner than by round
    FROM pairs
    ORDER BY (difference * 1000)::INTEGER DESC NULLS LAST, clip_id, other_model
    LIMIT 20
)
SELECT
    clip_id,
    own_model,
    other_model,
    round(difference, 3) AS difference,
    round(own_joy::DOUBLE, 3) AS own_joy,
    round(other_joy::DOUBLE, 3) AS other_joy,
    round(own_empathic_pain::DOUBLE, 3) AS own_empathic_pain,
    round(other_empathic_pain::DOUBLE, 3) AS other_empathic_pain
FROM first
ORDER BY difference DESC NULLS LAST, clip_id, other_model
