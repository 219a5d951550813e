-- 1 where a pump that was read in the day before the moment fails in the 3 days from it.
WITH watched AS (
    SELECT DISTINCT readings.pump, moments.event_at
    FROM moments
    JOIN readings
      ON readings.read_at >= moments.event_at - INTERVAL 1 DAY
     AND readings.read_at < moments.event_at
)
SELECT
    watched.pump,
    watched.event_at,
    watched.event_at + INTERVAL 3 DAY AS known_at,
    max(CASE WHEN readings.failed THEN 1 ELSE 0 END) AS value
FROM watched
LEFT JOIN readings
  ON readings.pump = watched.pump
 AND readings.read_at >= watched.event_at
 AND readings.read_at < watched.event_at + INTERVAL 3 DAY
GROUP BY ALL
