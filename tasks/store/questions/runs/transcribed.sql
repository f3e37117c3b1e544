-- What the store holds of speech, by ASR model; the row that transcripts shows most of first.
-- Who asks: whoever opens the store (emi status).
-- Read it so: a row is a model that turns speech into text; spoken counts the clips with a word.
SELECT
    asr_model,
    count(*) FILTER (is_current) AS clips,
    count(*) FILTER (is_current AND num_words > 0) AS spoken,
    count(*) FILTER (is_current AND status = 'rejected') AS rejected,
    coalesce(sum(num_words) FILTER (is_current), 0)::BIGINT AS words,
    max(transcribed_at) AS last_transcribed_at
FROM all_transcripts
WHERE missing_since IS NULL
GROUP BY asr_model
ORDER BY clips DESC, asr_model
