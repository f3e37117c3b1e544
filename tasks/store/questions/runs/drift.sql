-- Do the scores of later runs drift away from those of the first?
-- Who asks: whoever scores new recordings every night.
-- Read it so: joy_drift is the mean of the run less that of the first run of this model, in
-- standard deviations of that run; beyond 0.2 have a look at what was recorded. A run counts
-- with the clips that no later run has scored again.
WITH by_run AS (
    SELECT
        model,
        model_sha256,
        coverage,
        run_id,
        min(scored_at) AS scored_at,
        count(*) AS clips,
        avg(joy) AS joy, stddev_samp(joy) AS joy_deviation,
        avg(amusement) AS amusement, stddev_samp(amusement) AS amusement_deviation,
        avg(empathic_pain) AS empathic_pain, stddev_samp(empathic_pain) AS empathic_pain_deviation,
        avg(arousal) AS arousal, stddev_samp(arousal) AS arousal_deviation,
        avg(valence) AS valence, stddev_samp(valence) AS valence_deviation
    FROM all_scores
    WHERE status = 'scored'
    GROUP BY ALL
)
SELECT
    model,
    coverage,
    run_id,
    scored_at,
    clips,
    round((joy - first_value(joy) OVER first_run)
        / nullif(first_value(joy_deviation) OVER first_run, 0), 2) AS joy_drift,
    round((amusement - first_value(amusement) OVER first_run)
        / nullif(first_value(amusement_deviation) OVER first_run, 0), 2) AS amusement_drift,
    round((empathic_pain - first_value(empathic_pain) OVER first_run)
        / nullif(first_value(empathic_pain_deviation) OVER first_run, 0), 2) AS empathic_pain_drift,
    round((arousal - first_value(arousal) OVER first_run)
        / nullif(first_value(arousal_deviation) OVER first_run, 0), 2) AS arousal_drift,
    round((valence - first_value(valence) OVER first_run)
        / nullif(first_value(valence_deviation) OVER first_run, 0), 2) AS valence_drift
FROM by_run
WINDOW first_run AS (PARTITION BY model_sha256, coverage ORDER BY scored_at, run_id)
ORDER BY model, coverage, by_run.scored_at, run_id
