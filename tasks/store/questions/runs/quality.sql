-- How good is the sound of the clips?
-- Who asks: whoever compares cameras, sites or sessions before believing a difference of scores.
-- Read it so: silent, clipped and short_decode count the clips that trusted_scores leaves out;
-- rms_dbfs is the mean level, 0 the loudest, speech mostly between -40 and -15.
SELECT
    /* by */
    codec,
    sampling_rate,
    channels,
    count(*) AS clips,
    round(avg(duration_seconds), 1) AS mean_seconds,
    round(avg(rms_dbfs), 1) AS rms_dbfs,
    round(avg(silent_fraction), 3) AS silent_fraction,
    count_if(list_contains(flags, 'silent'))::BIGINT AS silent,
    count_if(list_contains(flags, 'clipped'))::BIGINT AS clipped,
    count_if(list_contains(flags, 'short_decode'))::BIGINT AS short_decode,
    count_if(list_contains(flags, 'truncated'))::BIGINT AS truncated
FROM scores
WHERE status = 'scored'
GROUP BY ALL
ORDER BY /* by */ clips DESC, codec, sampling_rate, channels
