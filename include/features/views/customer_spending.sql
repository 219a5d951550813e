-- What a customer spent in the 30 days before each day: one row per customer with an order in them.
-- Money is summed in whole cents, so that no order of addition changes a figure.
WITH bounds AS (
    SELECT min(day) - INTERVAL 30 DAY AS first_at, max(day) AS end_at FROM days
),
lines AS (
    SELECT
        purchases.customer_id,
        purchases.basket_id,
        date_trunc('day', purchases.event_at) AS ordered_on,
        coalesce(products.department, 'UNKNOWN') AS category,
        CAST(round(purchases.amount * 100) AS BIGINT) AS cents
    FROM purchases
    LEFT JOIN products USING (product_id)
    WHERE purchases.event_at >= (SELECT first_at FROM bounds)
      AND purchases.event_at < (SELECT end_at FROM bounds)
),
by_basket AS (
    SELECT customer_id, basket_id, ordered_on, sum(cents)::BIGINT AS cents
    FROM lines
    GROUP BY ALL
),
by_category AS (
    SELECT customer_id, category, ordered_on, sum(cents)::BIGINT AS cents
    FROM lines
    GROUP BY ALL
),
spending AS (
    SELECT
        customer_id,
        day,
        sum(cents)::BIGINT AS cents,
        count(DISTINCT basket_id) AS baskets,
        max(ordered_on) AS last_ordered_on
    FROM by_basket
    JOIN days ON ordered_on >= day - INTERVAL 30 DAY AND ordered_on < day
    GROUP BY ALL
),
category_spending AS (
    SELECT customer_id, day, category, sum(cents)::BIGINT AS cents
    FROM by_category
    JOIN days ON ordered_on >= day - INTERVAL 30 DAY AND ordered_on < day
    GROUP BY ALL
),
preferred AS (
    SELECT customer_id, day, min_by(category, row(-cents, category)) AS preferred_category
    FROM category_spending
    GROUP BY ALL
)
SELECT
    customer_id,
    day AS event_timestamp,
    cents / 100 AS total_spend_30d,
    cents / 100 / baskets AS avg_order_value_30d,
    baskets AS transaction_count_30d,
    date_diff('day', last_ordered_on, day) AS days_since_last_purchase,
    preferred_category
FROM spending
JOIN preferred USING (customer_id, day)
