-- Which scores are least certain?
-- Who asks: a researcher who wants to check some clips by ear, the doubtful ones first.
-- Read it so: interval_width is how wide the interval is in which nine of ten labels lie, 0 to
-- 1, on average over the six emotions; empty for a model without calibration. flags say what is
-- doubtful about the sound.
SELECT
    /* by */
    clip_id,
    round(list_avg([
        admiration_high - admiration_low,
        amusement_high - amusement_low,
        determination_high - determination_low,
        empathic_pain_high - empathic_pain_low,
        excitement_high - excitement_low,
        joy_high - joy_low
    ]), 3) AS interval_width,
    flags,
    round(silent_fraction, 3) AS silent_fraction,
    round(scored_seconds, 1) AS scored_seconds
FROM scores
WHERE status = 'scored'
ORDER BY interval_width DESC NULLS LAST, len(flags) DESC, silent_fraction DESC, clip_id
LIMIT 20 /* by */
