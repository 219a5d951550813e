-- Money a customer with an order in the 30 days before the moment spends in the 30 days from it.
-- Summed in whole cents, so that no order of addition changes a figure; moments are midnights, so days will do.
WITH spent AS (
    SELECT
        customer_id,
        date_trunc('day', event_at) AS bought_at,
        sum(round(amount * 100)::BIGINT)::BIGINT AS cents
    FROM purchases
    GROUP BY ALL
),
active AS (
    SELECT DISTINCT spent.customer_id, moments.event_at
    FROM moments
    JOIN spent
      ON spent.bought_at >= moments.event_at - INTERVAL 30 DAY
     AND spent.bought_at < moments.event_at
),
next_month AS (
    SELECT spent.customer_id, moments.event_at, sum(cents)::BIGINT AS cents
    FROM moments
    JOIN spent
      ON spent.bought_at >= moments.event_at
     AND spent.bought_at < moments.event_at + INTERVAL 30 DAY
    GROUP BY ALL
)
SELECT
    active.customer_id,
    active.event_at,
    active.event_at + INTERVAL 30 DAY AS known_at,
    coalesce(next_month.cents, 0) / 100 AS value
FROM active
LEFT JOIN next_month USING (customer_id, event_at)
