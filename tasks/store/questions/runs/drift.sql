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
        avg(joy) AS joy,
        avg(amusement) AS amusement,
        avg(empathic_pain) AS empathic_pain,
        avg(arousal) AS arousal,
        avg(valence) AS valence
    FROM all_scores
    WHERE status = 'scored'
    GROUP BY ALL
),
first_runs AS (
    FROM by_run
    QUALIFY row_number() OVER (PARTITION BY model_sha256, coverage ORDER BY scored_at, run_id) = 1
),
deviations AS (
    SELECT
        all_scores.model_sha256,
        all_scores.coverage,
        nullif(stddev_samp(all_scores.joy), 0) AS joy,
        nullif(stddev_samp(all_scores.amusement), 0) AS amusement,
        nullif(stddev_samp(all_scores.empathic_pain), 0) AS empathic_pain,
        nullif(stddev_samp(all_scores.arousal), 0) AS arousal,
        nullif(stddev_samp(all_scores.valence), 0) AS valence
    FROM all_scores
    SEMI JOIN first_runs USING (model, model_sha256, coverage, run_id)
    WHERE status = 'scored'
    GROUP BY ALL
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
JOIN deviations USING (model_sha256, coverage)
ORDER BY runs.model, runs.coverage, runs.scored_at, runs.run_id
