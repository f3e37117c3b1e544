-- Which clips speak of laughing, and how amused do they look and sound?
SELECT clip_id, text, amusement, joy
FROM clips_saying('laugh')
ORDER BY amusement DESC
LIMIT 5
