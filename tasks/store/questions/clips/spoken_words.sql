-- Which clips speak of laughing, and how amused do they look and sound?
-- Who asks: whoever studies what people say when they sound amused (emi transcribe).
-- Read it so: a score is how strongly raters would perceive the expression, 0 to 1.
SELECT clip_id, text, amusement, joy
FROM clips_saying('laugh')
ORDER BY amusement DESC
LIMIT 5
