-- Which clips could not be scored, and why?
-- Who asks: whoever recorded the clips, to mend what can be mended.
-- Read it so: a row counts the rejected clips of a folder with one reason and codec; example is
-- one of them. `emi schema rejections` says more.
SELECT
    /* by */
    reason,
    codec,
    split_part(clip_id, '/', 1) AS folder,
    count(*) AS clips,
    min(clip_id) AS example,
    arg_min(detail, clip_id) AS detail
FROM rejections
GROUP BY ALL
ORDER BY clips DESC, reason, folder, codec
LIMIT 100 /* by */
