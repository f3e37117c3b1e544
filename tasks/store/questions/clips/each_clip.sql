-- Everything about each clip, one row a clip.
-- Who asks: whoever goes on in a spreadsheet, SPSS, R or pandas: add --output FILE.csv.
-- Read it so: `emi schema clips` explains the columns; after them come the study's own (emi
-- metadata add).
FROM clips
WHERE status = 'scored'
ORDER BY clip_id
