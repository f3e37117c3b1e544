-- Which clips score highest on each emotion?
-- Who asks: a researcher who first wants to hear the clearest examples.
-- Read it so: score is how strongly raters would perceive the expression in the voice, from 0,
-- not at all, to 1, as strongly as can be; it says nothing of what the person felt.
WITH best AS (
    SELECT
        /* by */
        max_by({'clip_id': clip_id, 'score': admiration}, admiration, 5) AS admiration,
        max_by({'clip_id': clip_id, 'score': amusement}, amusement, 5) AS amusement,
        max_by({'clip_id': clip_id, 'score': determination}, determination, 5) AS determination,
        max_by({'clip_id': clip_id, 'score': empathic_pain}, empathic_pain, 5) AS empathic_pain,
        max_by({'clip_id': clip_id, 'score': excitement}, excitement, 5) AS excitement,
        max_by({'clip_id': clip_id, 'score': joy}, joy, 5) AS joy
    FROM trusted_scores
    GROUP BY ALL
    HAVING count(*) > 0
),
listed AS (
    SELECT /* by */ emotion, unnest(clips) AS clip
    FROM (
        UNPIVOT best
        ON admiration, amusement, determination, empathic_pain, excitement, joy
        INTO NAME emotion VALUE clips
    )
)
SELECT /* by */ emotion, clip.clip_id AS clip_id, round(clip.score::DOUBLE, 3) AS score
FROM listed
ORDER BY /* by */ emotion, clip.score DESC, clip.clip_id
