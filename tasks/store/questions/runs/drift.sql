-- Do the scores of later runs drift away from those of the first?
-- Who asks: whoever scores new recordings every night.
-- Read it so: joy_drift is the mean of the run less that of the first run of this model, in
-- standard deviations of that run; beyond 0.2 have a look at what was recorded. A run counts
-- with the clips that no later run has scored again.
WITH by_run AS MATERIALIZED ( -- a run is of one model and coverage
    SELECT
        run_id,
        any_value(model) AS model,
        any_value(model_sha256) AS model_sha256,
        any_value(coverage) AS coverage,
        min(scored_at) AS scored_at,
        count(*) AS clips,
        avg(joy) AS joy,
        avg(amusement) AS amusement,
        avg(empathic_pain) AS empathic_pain,
        avg(arousal) AS arousal,
        avg(valence) AS valence
    FROM all_scores
    WHERE status = 'scored'
    GROUP BY run_id
),
first_runs AS MATERIALIZED (
    FROM by_run
    QUALIFY row_number() OVER (PARTITION BY model_sha256, coverage ORDER BY scored_at, run_id) = 1
),
deviations AS (
    SELECT
        run_id,
        nullif(stddev_samp(joy), 0) AS joy,
        nullif(stddev_samp(amusement), 0) AS amusement,
        nullif(stddev_samp(empathic_pain), 0) AS empathic_pain,
        nullif(stddev_samp(arousal), 0) AS arousal,
        nullif(stddev_samp(valence), 0) AS valence
    FROM all_scores
    WHERE status = 'scored' AND run_id IN (SELECT run_id FROM first_runs)
    GROUP BY run_id
)
SELECT
    runs.model,
    runs.coverage,
    runs.run_id,
    runs.scored_at,
    runs.clips,
    round((runs.joy - first.joy) / deviations.joy, 2) AS joy_drift,
    round((runs.amusement - first.amusement) / deviations.amusement, 2) AS amusement_drift,
    round((runs.empathic_pain - first.empathic_pain) / deviations.empathic_pain, 2)
        AS empathic_pain_drift,
    round((runs.arousal - first.arousal) / deviations.arousal, 2) AS arousal_drift,
    round((runs.valence - first.valence) / deviations.valence, 2) AS valence_drift
FROM by_run AS runs
JOIN first_runs AS first USING (model_sha256, coverage)
JOIN deviations ON deviations.run_id = first.run_id
ORDER BY runs.model, runs.coverage, runs.scored_at, runs.run_id
