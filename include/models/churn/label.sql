-- 1 where a customer with an order in the 30 days before the moment does not order in the 14 days from it.
WITH visits AS (
    SELECT DISTINCT customer_id, event_at AS visited_at FROM purchases
),
active AS (
    SELECT DISTINCT visits.customer_id, moments.event_at
    FROM moments
    JOIN visits
      ON visits.visited_at >= moments.event_at - INTERVAL 30 DAY
     AND visits.visited_at < moments.event_at
),
returned AS (
    SELECT DISTINCT visits.customer_id, moments.event_at
    FROM moments
    JOIN visits
      ON visits.visited_at >= moments.event_at
     AND visits.visited_at < moments.event_at + INTERVAL 14 DAY
)
SELECT
    active.customer_id,
    active.event_at,
    active.event_at + INTERVAL 14 DAY AS known_at,
    CASE WHEN returned.customer_id IS NULL THEN 1 ELSE 0 END AS value
FROM active
LEFT JOIN returned USING (customer_id, event_at)
